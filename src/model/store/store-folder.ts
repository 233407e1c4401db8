import type { ByteSource } from '../files/byte-source.ts'

/** What is known of a file's content: enough to tell whether a server still has the same. */
export interface FileRecord {
  /** what the server calls this content (an object id, an ETag, a date); null when it says nothing */
  readonly version: string | null
  /** null when the server does not say how long it is */
  readonly size: number | null
  /** of the whole file, once computed */
  readonly sha256: string | null
}

/** A file of a folder, or the part of one that is there. */
export interface StoreEntry {
  readonly path: string
  readonly bytes: number
  /** milliseconds since 1970 */
  readonly modified: number
}

/**
 * Where downloaded files are kept: what a download needs of a file system, and no more. Paths are relative, with `/`
 * between names. A file is there as a whole, as a part that may be gone on with, or not at all.
 *
 * Everything throws `io` naming the folder and the system's reason, and `capacity` when there is no room left.
 */
export interface StoreFolder {
  /** named in errors and to people */
  readonly name: string
  readonly kind: 'opfs' | 'folder' | 'memory'
  /** A whole file by position; null when it is not there as a whole. */
  open(path: string): Promise<ByteSource | null>
  /** What is known of a whole file; null when it is not there as a whole. */
  record(path: string): Promise<FileRecord | null>
  /** The part of a file, to be written on. A whole file of that path stays until the part is finished. */
  part(path: string): Promise<StorePart>
  readText(path: string): Promise<string | null>
  writeText(path: string, text: string): Promise<void>
  /** All files, whole and in parts. */
  entries(): Promise<readonly StoreEntry[]>
  /** Removes a file, or a folder with all that is in it; nothing when there is none. */
  remove(path: string): Promise<void>
  /** bytes that may still be written; null when nobody knows */
  free(): Promise<number | null>
  /** Runs `body` while nobody else, in this process, tab or another one, runs one of the same name. */
  lock<T>(name: string, signal: AbortSignal | undefined, body: () => Promise<T>): Promise<T>
}

/** Bytes of a file that come one after the other. What was written stays when the rest never comes. */
export interface StorePart {
  /** of the content that it is a part of; null when there is nothing */
  readonly record: FileRecord | null
  readonly bytes: number
  /** What is there. */
  source(): Promise<ByteSource>
  /** Forgets what is there and begins with other content. */
  start(record: FileRecord): Promise<void>
  write(bytes: Uint8Array): Promise<void>
  /** Keeps what was written. */
  close(): Promise<void>
  /** The part is the whole file from now on, and replaces the one that was there. */
  finish(record: FileRecord): Promise<void>
}
