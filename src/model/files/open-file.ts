import { open } from 'node:fs/promises'
import { FoveaError } from '../../tile/index.ts'
import type { ByteSource } from './byte-source.ts'
import { checkRange, cutShort, readFailed } from './read-range.ts'

/** One call of the system reads at most 2 GiB; less is as fast. */
const maxRead = 64 * 2 ** 20

/** A file of the disk, Node only. Throws `io` naming the path: missing, a folder, not readable, cut short since opened. */
export async function openFile(path: string): Promise<ByteSource> {
  const handle = await open(path, 'r').catch((cause) => readFailed('openFile', path, cause))
  const stat = await handle.stat().catch((cause) => handle.close().then(() => readFailed('openFile', path, cause)))
  if (!stat.isFile()) {
    await handle.close()
    throw new FoveaError('io', 'openFile', `${path} is not a file`)
  }
  const size = stat.size
  return {
    name: path,
    size,
    async read(offset, length) {
      checkRange(path, size, offset, length)
      // memory that is written over at once need not be cleared: allocUnsafeSlow is not from the shared pool
      const bytes = Buffer.allocUnsafeSlow(length)
      for (let done = 0; done < length; ) {
        const wanted = Math.min(length - done, maxRead)
        const { bytesRead } = await handle
          .read(bytes, done, wanted, offset + done)
          .catch((cause) => readFailed('read', path, cause))
        if (bytesRead === 0) throw cutShort(path, offset, length, done)
        done += bytesRead
      }
      return new Uint8Array(bytes.buffer, bytes.byteOffset, length)
    },
    close: () => handle.close(),
  }
}
