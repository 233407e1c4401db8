import type { Tensor } from '../../device/device.ts'
import type { PlacedRope } from '../../model/place-rope.ts'
import { applyRope } from '../../nn/rope.ts'
import type { TapeCore } from './tape-core.ts'
import type { Variable } from './variable.ts'

/** Rotary positions of heads x [N, H, D] at `positions` i32 [N] (arXiv 2104.09864). The gradient is turned back. */
export function rotate(tape: TapeCore, x: Variable, rope: PlacedRope, positions: Tensor): Variable {
  const { device } = tape
  const { tables, interleaved } = rope
  const y = tape.empty(x.shape, x.dtype, x.needsGradient)
  applyRope(device, { x: x.value, positions, tables, interleaved, output: y.value })
  return tape.note({
    output: y,
    keeps: [],
    backward() {
      const dOutput = y.gradient?.tensor as Tensor
      tape.addGradient(
        x,
        (output) => void applyRope(device, { x: dOutput, positions, tables, interleaved, inverse: true, output }),
      )
    },
  })
}
