import { setFlagsFromString } from 'node:v8'
import { FoveaError } from '../../ir/error.ts'

/**
 * Asks V8 to join pairs of 128-bit vectors into 256-bit instructions (`--experimental-wasm-revectorize`): an experimental flag
 * of the whole process, for modules compiled from then on. Throws `unsupported` on engines other than V8 13 and newer in Node.
 */
export function joinVectors(): void {
  const version = Number.parseInt(process.versions.v8 ?? '0', 10)
  if (version < 13 || process.arch !== 'x64')
    throw new FoveaError(
      'unsupported',
      'wasm.pool',
      `wideVectors takes Node with V8 13 or newer on x64, this is V8 ${version || 'unknown'} on ${process.arch}`,
    )
  setFlagsFromString('--experimental-wasm-revectorize')
}
