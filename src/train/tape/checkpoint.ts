import type { TapeCore } from './tape-core.ts'
import { Held, type Variable } from './variable.ts'

/**
 * Activation checkpointing (Chen et al. 2016, arXiv 1604.06174): `body` is computed, of all its values only its input is kept,
 * and on the way back it is computed again. Its kernels and their order are the same both times, so gradients are those of
 * the body on the tape itself, bit for bit. `fork` makes an empty tape over the same workspace.
 */
export function checkpoint<T extends TapeCore>(
  tape: T,
  fork: (recording: boolean) => T,
  x: Variable,
  body: (tape: T, x: Variable) => Variable,
): Variable {
  const input = x.value
  const lent = () => new Held(input, null)
  const first = fork(false)
  const computed = body(first, first.adopt(lent(), false))
  const held = computed.held?.hold()
  first.finish()
  // what a body computes from constants alone may be trained, so a way back is always noted
  const output = tape.adopt(held as Held, true)
  return tape.note({
    output,
    keeps: [x],
    backward() {
      const again = fork(true)
      const start = again.adopt(lent(), x.needsGradient)
      const end = body(again, start)
      // moved, not shared: sums then run in place where they did
      const given = tape.takeGradient(output)
      if (given) again.giveGradient(end, given)
      again.backward()
      const gradient = again.takeGradient(start)
      if (gradient) tape.giveGradient(x, gradient)
    },
  })
}
