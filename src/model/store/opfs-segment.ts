/** Writes one file of the Origin Private File System from its beginning. */
export interface SegmentWriter {
  readonly bytes: number
  write(bytes: Uint8Array): Promise<void>
  /** What was written is in the file from now on. */
  close(): Promise<void>
}

/**
 * In a worker through a handle that writes in place, which every browser with this file system has there; in a page
 * through a stream, which Safari has since version 26.
 */
export async function openSegmentWriter(folder: FileSystemDirectoryHandle, name: string): Promise<SegmentWriter> {
  const handle = await folder.getFileHandle(name, { create: true })
  let bytes = 0
  const syncHandles = handle as FileSystemFileHandle & { createSyncAccessHandle?: () => Promise<SyncAccessHandle> }
  if (typeof syncHandles.createSyncAccessHandle === 'function') {
    const access = await syncHandles.createSyncAccessHandle()
    access.truncate(0)
    return {
      get bytes() {
        return bytes
      },
      async write(data) {
        for (let done = 0; done < data.byteLength; ) {
          const written = access.write(data.subarray(done), { at: bytes })
          // an engine that is out of room may also write less than it was given
          if (written === 0) throw new DOMException('nothing was written', 'QuotaExceededError')
          done += written
          bytes += written
        }
      },
      async close() {
        access.flush()
        access.close()
      },
    }
  }
  const stream = await handle.createWritable()
  return {
    get bytes() {
      return bytes
    },
    async write(data) {
      await stream.write(data as Uint8Array<ArrayBuffer>)
      bytes += data.byteLength
    },
    close: () => stream.close(),
  }
}

/** Can this page or worker write there at all? */
export function canWriteSegments(): boolean {
  if (typeof FileSystemFileHandle === 'undefined') return false
  return (
    'createWritable' in FileSystemFileHandle.prototype || 'createSyncAccessHandle' in FileSystemFileHandle.prototype
  )
}

/** A part of the standard that TypeScript knows only of workers. */
interface SyncAccessHandle {
  write(data: Uint8Array, options: { readonly at: number }): number
  truncate(size: number): void
  flush(): void
  close(): void
}
