import { FoveaError } from '../ir/error.ts'
import { maxThreads } from './pool/control-block.ts'
import { joinVectors } from './pool/join-vectors.ts'
import { probeFeatures } from './pool/probe-features.ts'
import { SharedPool } from './pool/shared-pool.ts'
import { SinglePool } from './pool/single-pool.ts'
import { nodeModule } from './pool/start-worker.ts'
import type { WasmPool } from './wasm-pool.ts'

export type { KernelArgument } from './emit/kernel-frame.ts'
export { probeFeatures, type WasmFeatures } from './pool/probe-features.ts'
export type { PoolCall, PoolRecording, WasmBuild, WasmPool } from './wasm-pool.ts'

export interface PoolOptions {
  /** workers; default one for each core, 1 where memory cannot be shared */
  readonly threads?: number
  /** kernels compiled for relaxed SIMD; default: where the engine has it */
  readonly relaxed?: boolean
  /**
   * 256-bit vectors where V8 can make them of pairs (Node with V8 13 or newer, x64): about 1.6 times as fast. It sets an
   * experimental flag of the whole process, so it is off unless asked for.
   */
  readonly wideVectors?: boolean
  /** bound on the memory, at most and by default 4 GiB less 64 KiB */
  readonly maxBytes?: number
}

const pageBytes = 65536
const maxMemoryBytes = 65535 * pageBytes

/** Opens a pool. Throws `unsupported` where the engine lacks SIMD, or relaxed SIMD or threads that were asked for. */
export async function openPool(options: PoolOptions = {}): Promise<WasmPool> {
  const features = probeFeatures()
  if (!features.simd) throw new FoveaError('unsupported', 'wasm.pool', 'this engine has no WebAssembly SIMD')
  const relaxed = options.relaxed ?? features.relaxed
  if (relaxed && !features.relaxed) throw new FoveaError('unsupported', 'wasm.pool', 'this engine has no relaxed SIMD')
  const wide = options.wideVectors ?? false
  if (wide) joinVectors()
  const threads = options.threads ?? (features.threads ? cores() : 1)
  if (!Number.isInteger(threads) || threads < 1)
    throw new FoveaError('argument', 'wasm.pool', `threads must be a whole number ≥ 1, got ${threads}`)
  if (threads > maxThreads)
    throw new FoveaError('limit', 'wasm.pool', `${threads} threads; a pool has at most ${maxThreads}`)
  if (threads > 1 && !features.threads)
    throw new FoveaError(
      'unsupported',
      'wasm.pool',
      `${threads} threads need a shared memory: a browser gives it to pages that are cross-origin isolated`,
    )
  const { memory, maxBytes } = createMemory(
    Math.min(options.maxBytes ?? maxMemoryBytes, maxMemoryBytes),
    features.threads,
  )
  return features.threads
    ? SharedPool.open(memory, threads, { relaxed, wide }, maxBytes)
    : new SinglePool(memory, { relaxed, wide }, maxBytes)
}

/** A memory that may grow to `maxBytes`, or as far as the engine reserves. */
function createMemory(maxBytes: number, shared: boolean): { memory: WebAssembly.Memory; maxBytes: number } {
  for (let maximum = Math.max(Math.ceil(maxBytes / pageBytes), 16); ; maximum = Math.ceil(maximum / 2)) {
    try {
      const memory = new WebAssembly.Memory({ initial: 16, maximum, shared })
      return { memory, maxBytes: maximum * pageBytes }
    } catch (cause) {
      if (maximum <= 1024) throw new FoveaError('memory', 'wasm.pool', 'the engine gives no memory', { cause })
    }
  }
}

function cores(): number {
  const node = nodeModule<typeof import('node:os')>('node:os')
  if (node) return node.availableParallelism()
  return (globalThis as { navigator?: { hardwareConcurrency?: number } }).navigator?.hardwareConcurrency ?? 1
}
