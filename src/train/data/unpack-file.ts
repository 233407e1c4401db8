import { spawn } from 'node:child_process'
import { createReadStream } from 'node:fs'
import { FoveaError } from '../../tile/index.ts'

/**
 * The bytes of a file in pieces; those of a path that ends in .xz unpacked, by the system's `xz` (Node has no decompressor for
 * it). Node only. Throws `io` for a file that cannot be read, `format` for one that `xz` does not unpack, and `unsupported`
 * where there is no `xz`.
 */
export async function* unpackFile(path: string): AsyncGenerator<Uint8Array> {
  if (!path.endsWith('.xz')) {
    try {
      yield* createReadStream(path, { highWaterMark: 2 ** 20 })
    } catch (cause) {
      throw new FoveaError('io', 'unpackFile', (cause as Error).message, { cause })
    }
    return
  }
  const child = spawn('xz', ['--decompress', '--stdout', '--', path], { stdio: ['ignore', 'pipe', 'pipe'] })
  let reason = ''
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    reason += text
  })
  const ended = new Promise<Error | number | null>((resolve) => {
    child.once('error', resolve)
    child.once('close', (status) => resolve(status))
  })
  try {
    yield* child.stdout
    const end = await ended
    if (end instanceof Error)
      throw new FoveaError('unsupported', 'unpackFile', `${path} needs the program xz to unpack it: ${end.message}`)
    if (end !== 0) throw new FoveaError('format', 'unpackFile', `${path}: ${reason.trim() || `xz ended with ${end}`}`)
  } finally {
    child.kill()
  }
}
