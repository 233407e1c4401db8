import type { WasmKernel } from './compile-program.ts'
import type { KernelArgument } from './emit/kernel-frame.ts'

/** How kernels are compiled. */
export interface WasmBuild {
  readonly relaxed: boolean
  readonly wide: boolean
}

/** Workers over one memory, in which tensors, scratch and arguments lie. */
export interface WasmPool {
  /** its buffer is replaced when the memory grows: do not keep views across `allocate` and `run` */
  readonly memory: WebAssembly.Memory
  readonly threads: number
  /** compile kernels with this and `wide` */
  readonly relaxed: boolean
  readonly wide: boolean
  /** The address of that many bytes, a multiple of 64; not cleared. Throws `memory` and `disposed`. */
  allocate(bytes: number): number
  free(pointer: number): void
  /**
   * Runs a kernel over a grid once those before it are done. Rejects with `argument` and `shape` where the arguments do not
   * fit the kernel, `device` when it trapped or a worker was lost, `disposed`.
   */
  run(kernel: WasmKernel, args: readonly KernelArgument[], grid: readonly [number, number, number]): Promise<void>
  /** Ends the workers; twice is harmless. Kernels not done are rejected. */
  dispose(): void
}
