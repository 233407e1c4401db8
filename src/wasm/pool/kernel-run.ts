import { FoveaError } from '../../ir/error.ts'
import type { WasmKernel } from '../compile-program.ts'
import { type KernelArgument, writeFrame } from '../emit/kernel-frame.ts'
import { maxFrameBytes } from './control-block.ts'

/** A kernel waiting for its turn, with its arguments as the kernel reads them. */
export interface KernelRun {
  readonly kernel: WasmKernel
  readonly frame: Uint8Array
  readonly grid: readonly [number, number, number]
  readonly total: number
  resolve(): void
  reject(error: unknown): void
}

/** Checks the grid and packs the arguments; throws `argument`, `shape` and `limit`. */
export function packArguments(
  kernel: WasmKernel,
  args: readonly KernelArgument[],
  grid: readonly [number, number, number],
): { frame: Uint8Array; total: number } {
  const total = grid[0] * grid[1] * grid[2]
  if (!grid.every((count) => Number.isInteger(count) && count >= 0) || total > 0x7fffffff - 65536)
    throw new FoveaError('argument', 'wasm.run', `${kernel.name}: a grid of [${grid.join(', ')}]`)
  if (kernel.frame.bytes > maxFrameBytes)
    throw new FoveaError(
      'limit',
      'wasm.run',
      `${kernel.name}: ${kernel.frame.params.length} parameters take ${kernel.frame.bytes} bytes, at most ${maxFrameBytes}`,
    )
  const frame = new Uint8Array(kernel.frame.bytes)
  writeFrame(kernel.name, kernel.frame, args, new DataView(frame.buffer), 0)
  return { frame, total }
}
