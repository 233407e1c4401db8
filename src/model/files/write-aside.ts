import { open, rename, unlink } from 'node:fs/promises'
import { dirname } from 'node:path'
import { FoveaError } from '../../tile/index.ts'

/** Takes bytes in order. They are written when the promise is fulfilled, and may then be changed. */
export interface ByteSink {
  write(bytes: Uint8Array): Promise<void>
}

/**
 * Writes a file so that its path names the old content or the whole new one, never a part: `body` writes into a file
 * beside it, which is forced to the disk and then renamed. When anything fails (a full disk, `body` itself) that file is
 * removed and the old one stays. Node only. Throws `io` naming the path and the system's reason; what `body` throws.
 */
export async function writeAside(path: string, body: (sink: ByteSink) => Promise<void>): Promise<void> {
  const failed = (cause: unknown): never => {
    const reason = cause instanceof Error ? cause.message : String(cause)
    throw new FoveaError('io', 'writeAside', `${path} is not written: ${reason}`, { cause })
  }
  // in the same folder, because a rename does not move a file from one disk to another
  const aside = `${path}.${Math.floor(Math.random() * 2 ** 48).toString(36)}.tmp`
  const handle = await open(aside, 'wx').catch(failed)
  try {
    await body({
      async write(bytes) {
        for (let done = 0; done < bytes.byteLength; )
          done += (await handle.write(bytes, done, bytes.byteLength - done).catch(failed)).bytesWritten
      },
    })
    await handle.sync().catch(failed)
    await handle.close().catch(failed)
    await rename(aside, path).catch(failed)
  } catch (error) {
    await handle.close().catch(() => {})
    await unlink(aside).catch(() => {})
    throw error
  }
  // the new name is on the disk when the folder is; not every system opens folders
  const folder = await open(dirname(path), 'r').catch(() => undefined)
  await folder?.sync().catch(() => {})
  await folder?.close()
}
