import { add as addKernel } from '../../nn/add.ts'
import type { TapeCore } from './tape-core.ts'
import type { Variable } from './variable.ts'

/** a + b for [N, C], in memory of its own; `residual` takes that of one of them. The gradient goes to both as it is. */
export function add(tape: TapeCore, a: Variable, b: Variable): Variable {
  const sum = tape.empty(a.shape, a.dtype, a.needsGradient || b.needsGradient)
  addKernel(tape.device, { a: a.value, b: b.value, output: sum.value })
  return noteSum(tape, sum, a, b)
}

/** Notes that `sum` was computed as a + b. */
export function noteSum(tape: TapeCore, sum: Variable, a: Variable, b: Variable): Variable {
  return tape.note({
    output: sum,
    keeps: [],
    backward() {
      const gradient = tape.takeGradient(sum)
      if (!gradient) return
      tape.giveGradient(b, gradient.hold())
      tape.giveGradient(a, gradient)
    },
  })
}
