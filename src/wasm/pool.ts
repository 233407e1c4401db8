import { FoveaError } from '../ir/error.ts'
import { maxThreads } from './pool/control-block.ts'
import { joinVectors } from './pool/join-vectors.ts'
import { probeFeatures } from './pool/probe-features.ts'
import { processors } from './pool/processors.ts'
import { SharedPool } from './pool/shared-pool.ts'
import { SinglePool } from './pool/single-pool.ts'
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
  /** pages: where the workers' file is served, when it is not beside the bundle */
  readonly workerUrl?: string
}

const pageBytes = 65536
const maxMemoryBytes = 65535 * pageBytes

/**
 * Opens a pool. Where memory cannot be shared or no worker starts, and no number of threads was asked for, it has one thread
 * and says why in its `notes`. Throws `unsupported` where a policy forbids WebAssembly, where the engine lacks SIMD, or
 * relaxed SIMD or threads that were asked for, `device` when the threads that were asked for do not start.
 */
export async function openPool(options: PoolOptions = {}): Promise<WasmPool> {
  assertCompiles()
  const features = probeFeatures()
  if (!features.simd) throw new FoveaError('unsupported', 'wasm.pool', 'this engine has no WebAssembly SIMD')
  const relaxed = options.relaxed ?? features.relaxed
  if (relaxed && !features.relaxed) throw new FoveaError('unsupported', 'wasm.pool', 'this engine has no relaxed SIMD')
  const wide = options.wideVectors ?? false
  if (wide) joinVectors()
  const threads = options.threads ?? (features.threads ? processors() : 1)
  if (!Number.isInteger(threads) || threads < 1)
    throw new FoveaError('argument', 'wasm.pool', `threads must be a whole number ≥ 1, got ${threads}`)
  if (threads > maxThreads)
    throw new FoveaError('limit', 'wasm.pool', `${threads} threads; a pool has at most ${maxThreads}`)
  const build = { relaxed, wide }
  const mostBytes = Math.min(options.maxBytes ?? maxMemoryBytes, maxMemoryBytes)
  const single = (reason: string) => {
    const { memory, maxBytes } = createMemory(mostBytes, false)
    return new SinglePool(memory, build, maxBytes, [`one thread: ${reason}`])
  }
  if (!features.threads) {
    if (threads > 1) throw new FoveaError('unsupported', 'wasm.pool', `${threads} threads: ${noSharing()}`)
    return single(noSharing())
  }
  const { memory, maxBytes } = createMemory(mostBytes, true)
  try {
    return await SharedPool.open(memory, threads, build, maxBytes, options.workerUrl)
  } catch (error) {
    if (options.threads !== undefined) throw error
    return single((error as Error).message.replace('wasm.pool: ', ''))
  }
}

/** A page's policy may forbid WebAssembly, and says so only when something is compiled. */
function assertCompiles(): void {
  if (typeof WebAssembly !== 'object')
    throw new FoveaError('unsupported', 'wasm.pool', 'this engine has no WebAssembly')
  try {
    new WebAssembly.Module(Uint8Array.of(0, 97, 115, 109, 1, 0, 0, 0))
  } catch (cause) {
    throw new FoveaError(
      'unsupported',
      'wasm.pool',
      "the Content-Security-Policy forbids WebAssembly: it needs 'wasm-unsafe-eval' in script-src",
      { cause },
    )
  }
}

function noSharing(): string {
  return (globalThis as { crossOriginIsolated?: boolean }).crossOriginIsolated === false
    ? 'the page is not cross-origin isolated, so its memory cannot be shared (headers Cross-Origin-Opener-Policy: same-origin and Cross-Origin-Embedder-Policy: require-corp)'
    : 'this engine has no shared memory'
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
