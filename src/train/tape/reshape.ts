import type { TapeCore } from './tape-core.ts'
import { Held, type Variable } from './variable.ts'

/** The same elements, [N, C] or whatever, in another shape of as many. Nothing is copied on either way. */
export function reshape(tape: TapeCore, x: Variable, shape: readonly number[]): Variable {
  const look = (held: Held, as: readonly number[]) =>
    new Held(tape.workspace.view(held.tensor, { shape: as }), () => held.drop())
  const y = tape.adopt(look((x.held as Held).hold(), shape), x.needsGradient)
  return tape.note({
    output: y,
    keeps: [],
    backward() {
      const gradient = tape.takeGradient(y)
      if (gradient) tape.giveGradient(x, look(gradient, x.shape))
    },
  })
}
