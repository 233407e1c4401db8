import { FoveaError } from '../../ir/error.ts'
import { nodeModule } from './start-worker.ts'

/**
 * Asks V8 to join pairs of 128-bit vectors into 256-bit instructions (`--experimental-wasm-revectorize`): an experimental flag
 * of the whole process, for modules compiled from then on. Throws `unsupported` on engines other than V8 13 and newer in Node.
 */
export function joinVectors(): void {
  const v8 = nodeModule<typeof import('node:v8')>('node:v8')
  const host = (globalThis as { process?: { versions?: { v8?: string }; arch?: string } }).process
  const version = Number.parseInt(host?.versions?.v8 ?? '0', 10)
  if (!v8 || version < 13 || host?.arch !== 'x64')
    throw new FoveaError(
      'unsupported',
      'wasm.pool',
      `wideVectors takes Node with V8 13 or newer on x64, this is V8 ${version || 'unknown'} on ${host?.arch ?? 'another platform'}`,
    )
  v8.setFlagsFromString('--experimental-wasm-revectorize')
}
