import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { open, rename, rm, stat } from 'node:fs/promises'
import { FoveaError } from '../tile/index.ts'

/** A model on the Hub, and how to reach it. */
export interface HubAccess {
  readonly id: string
  readonly revision: string
  readonly token?: string
  readonly hubUrl?: string
  readonly signal?: AbortSignal
}

export interface HubFile {
  readonly path: string
  readonly size: number
  /** identifies the content */
  readonly oid: string
  /** of the content, for files that the Hub keeps outside git */
  readonly sha256: string | null
}

/**
 * Downloads one file beside `target` and renames it when it is whole; a part that an earlier attempt left is gone on
 * with. `onBytes` is told how many bytes are there. Throws `format` when the hash is not the announced one (and what was
 * downloaded is removed), `io` when fewer bytes come than were announced; what the library and the system throw.
 */
export async function downloadFile(
  access: HubAccess,
  file: HubFile,
  target: string,
  onBytes: (done: number) => void,
): Promise<void> {
  const sizeOf = (path: string) =>
    stat(path)
      .then(({ size }) => size)
      .catch(() => -1)
  if ((await sizeOf(target)) === file.size) return onBytes(file.size)
  // the content's name is in that of the part: a part of another revision is not gone on with
  const part = `${target}.${file.oid.slice(0, 16)}.part`
  let done = Math.max(await sizeOf(part), 0)
  if (done > file.size) done = 0

  const output = await open(part, done > 0 ? 'a' : 'w')
  try {
    if (done < file.size) {
      const blob = await remoteBlob(access, file)
      const rest = done > 0 ? blob.slice(done, file.size) : blob
      const reader = rest.stream().getReader()
      onBytes(done)
      for (;;) {
        access.signal?.throwIfAborted()
        const { done: ended, value } = await reader.read()
        if (ended) break
        await output.writeFile(value)
        done += value.byteLength
        onBytes(done)
      }
    }
    await output.sync()
  } finally {
    await output.close()
  }
  if (done !== file.size)
    throw new FoveaError('io', 'downloadModel', `${access.id}: ${file.path} ended after ${done} of ${file.size} bytes`)
  if (file.sha256 !== null && (await sha256Of(part)) !== file.sha256) {
    await rm(part)
    throw new FoveaError('format', 'downloadModel', `${access.id}: ${file.path} does not have its announced SHA-256`)
  }
  await rename(part, target)
}

async function remoteBlob({ id, revision, token, hubUrl, signal }: HubAccess, { path }: HubFile): Promise<Blob> {
  const hub = await import('@huggingface/hub')
  const blob = await hub.downloadFile({
    repo: id,
    path,
    revision,
    fetch: fetchWith(signal),
    ...(token && { accessToken: token }),
    ...(hubUrl && { hubUrl }),
  })
  if (blob) return blob
  throw new FoveaError('io', 'downloadModel', `${id}: ${path} is listed, but not there`)
}

async function sha256Of(path: string): Promise<string> {
  const hash = createHash('sha256')
  for await (const chunk of createReadStream(path)) hash.update(chunk as Uint8Array)
  return hash.digest('hex')
}

/** `fetch` that a signal ends; the library takes none. */
export function fetchWith(signal: AbortSignal | undefined): typeof fetch {
  return (input, init) => fetch(input, signal ? { ...init, signal } : init)
}
