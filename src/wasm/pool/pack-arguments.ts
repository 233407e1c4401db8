import { FoveaError } from '../../ir/error.ts'
import { writeFrame } from '../emit/kernel-frame.ts'
import type { PoolCall } from '../wasm-pool.ts'
import { maxFrameBytes } from './control-block.ts'

/** Checks the grid and packs the arguments as the kernel reads them; throws `argument`, `shape` and `limit`. */
export function packArguments({ kernel, args, grid }: PoolCall): { frame: Uint8Array; total: number } {
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
