import { matmul } from '../../nn/matmul.ts'
import { sumRows } from '../../nn/sum-rows.ts'
import type { TapeCore } from './tape-core.ts'
import { isTrained, type TapeWeight } from './tape-weight.ts'
import type { Variable } from './variable.ts'
import { addWeightGradient } from './weight-gradient.ts'

/**
 * y = x · Wᵀ + b for x [N, K], W [M, K], b [M]; y [N, M] of x's dtype.
 *
 *   dX = dY · W        dW += dYᵀ · X        db += column sums of dY
 */
export function linear(tape: TapeCore, x: Variable, weight: TapeWeight, bias: TapeWeight | null = null): Variable {
  const { device } = tape
  const input = x.value
  const [rows = 0] = x.shape
  const y = tape.empty([rows, weight.compute.shape[0] ?? 0], x.dtype, x.needsGradient || isTrained(weight, bias))
  matmul(device, {
    a: input,
    b: weight.compute,
    transposeB: true,
    ...(bias && { bias: bias.weight }),
    output: y.value,
  })
  return tape.note({
    output: y,
    keeps: weight.gradient ? [x] : [],
    backward() {
      const dY = y.gradient?.tensor as typeof input
      if (weight.gradient) addWeightGradient(tape, { dY, x: input, gradient: weight.gradient })
      if (bias?.gradient) sumRows(device, { x: dY, output: bias.gradient, accumulate: true })
      tape.addGradient(
        x,
        (output, add) => void matmul(device, { a: dY, b: weight.compute, output, ...(add && { accumulate: true }) }),
        { adds: x.dtype === 'f32' },
      )
    },
  })
}
