import { accumulate } from '../../nn/accumulate.ts'
import { noteSum } from './add.ts'
import type { TapeCore } from './tape-core.ts'
import type { Variable } from './variable.ts'

/**
 * x + y for [N, C], in the memory of y, whose value is gone: no operation may have kept it (the results of `linear` and `norm`
 * are kept by nobody). The gradient goes to both as it is.
 */
export function residual(tape: TapeCore, x: Variable, y: Variable): Variable {
  const input = x.value
  const sum = tape.adopt(tape.takeOver('tape.residual', y), x.needsGradient || y.needsGradient)
  accumulate(tape.device, { x: input, output: sum.value })
  return noteSum(tape, sum, x, y)
}
