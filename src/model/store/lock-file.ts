import { mkdir, open, rm, stat, utimes } from 'node:fs/promises'
import { dirname } from 'node:path'
import { FoveaError } from '../../tile/index.ts'

const lookAgainMs = 100
/** who holds a lock says so this often; one that nobody spoke for this long is of a process that is gone */
const aliveMs = 2_000
const goneMs = 20_000

/**
 * Runs `body` while a file of this path exists that this call made: other calls, also of other processes, wait until it is
 * gone. One whose process is gone is taken over. Node only.
 */
export async function lockFile<T>(path: string, signal: AbortSignal | undefined, body: () => Promise<T>): Promise<T> {
  const failed = (cause: Error): never => {
    throw new FoveaError('io', 'modelStore', `${path}: ${cause.message}`, { cause })
  }
  await mkdir(dirname(path), { recursive: true }).catch(failed)
  for (;;) {
    signal?.throwIfAborted()
    const file = await open(path, 'wx').catch((cause: Error & { code?: string }) =>
      cause.code === 'EEXIST' ? null : failed(cause),
    )
    await file?.close()
    if (file) break
    const seen = await stat(path).catch(() => null)
    if (seen && Date.now() - seen.mtimeMs > goneMs) await rm(path, { force: true })
    else await new Promise((resolve) => setTimeout(resolve, lookAgainMs))
  }
  const alive = setInterval(() => void utimes(path, new Date(), new Date()).catch(() => {}), aliveMs)
  alive.unref()
  try {
    return await body()
  } finally {
    clearInterval(alive)
    await rm(path, { force: true })
  }
}
