import type { FoveaError } from '../ir/error.ts'
import type { WasmKernel } from './compile-program.ts'
import type { KernelArgument } from './emit/kernel-frame.ts'

/** How kernels are compiled. */
export interface WasmBuild {
  readonly relaxed: boolean
  readonly wide: boolean
}

/** A kernel with its arguments and grid. */
export interface PoolCall {
  readonly kernel: WasmKernel
  readonly args: readonly KernelArgument[]
  readonly grid: readonly [number, number, number]
}

/** Calls packed for the workers, to be enqueued together, again and again. */
export interface PoolRecording {
  /** Enqueues the calls, as `WasmPool.enqueue` does; what follows a kernel that failed is left out. */
  enqueue(done: Done): void
  /** Frees what it holds once the runs enqueued are done. */
  dispose(): void
}

/** Called once when the work is done or has failed, in the order in which it was enqueued, and not inside `enqueue`. */
export type Done = (error: FoveaError | null) => void

/** Workers over one memory, in which tensors, scratch and arguments lie. Kernels run one after the other, each on all workers. */
export interface WasmPool {
  /** its buffer is replaced when the memory grows: do not keep views across `allocate`, `record` and `enqueue` */
  readonly memory: WebAssembly.Memory
  readonly threads: number
  /** compile kernels with this and `wide` */
  readonly relaxed: boolean
  readonly wide: boolean
  /** what keeps the pool from what the machine could do, such as why it has one thread */
  readonly notes: readonly string[]
  /** The address of that many bytes, a multiple of 64; not cleared. Throws `memory` and `disposed`. */
  allocate(bytes: number): number
  free(pointer: number): void
  /**
   * Runs a kernel once those before it are done; a grid with a zero does nothing. Throws `argument`, `shape` and `limit`
   * where the arguments do not fit the kernel, `memory`, `disposed`; `done` gets `device` when the kernel trapped or a worker was
   * lost, and `disposed`.
   */
  enqueue(call: PoolCall, done: Done): void
  /** Packs calls, leaving out those with an empty grid. Throws what `enqueue` throws. */
  record(calls: readonly PoolCall[]): PoolRecording
  /** As `enqueue`, as a promise. */
  run(kernel: WasmKernel, args: readonly KernelArgument[], grid: readonly [number, number, number]): Promise<void>
  /** Calls `done` for what is done already, without waiting to be told. */
  poll(): void
  /** Gives up what is kept for a kernel, unless it is in use. */
  forget(kernel: WasmKernel): void
  /** Ends the workers; twice is harmless. Kernels not done fail. */
  dispose(): void
}
