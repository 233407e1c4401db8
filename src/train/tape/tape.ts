import type { Activation } from '../../nn/activations.ts'
import { activation, gated } from './activation.ts'
import { checkpoint } from './checkpoint.ts'
import { type CrossEntropyRequest, crossEntropy } from './cross-entropy.ts'
import { embed, type TapeEmbedding } from './embedding.ts'
import { linear } from './linear.ts'
import { norm, type TapeNorm } from './norm.ts'
import { residual } from './residual.ts'
import { TapeCore } from './tape-core.ts'
import type { TapeWeight } from './tape-weight.ts'
import type { Variable } from './variable.ts'

/** A tape with the operations of `nn` and `attention`: what `TapeCore` says, and each operation's own file. */
export class Tape extends TapeCore {
  linear(x: Variable, weight: TapeWeight, bias: TapeWeight | null = null): Variable {
    return linear(this, x, weight, bias)
  }

  norm(x: Variable, of: TapeNorm): Variable {
    return norm(this, x, of)
  }

  activation(x: Variable, f: Activation): Variable {
    return activation(this, x, f)
  }

  /** activation(gate) · up of gate and up side by side */
  gated(x: Variable, f: Activation): Variable {
    return gated(this, x, f)
  }

  embed(of: TapeEmbedding): Variable {
    return embed(this, of)
  }

  /** x + y in the memory of y */
  residual(x: Variable, y: Variable): Variable {
    return residual(this, x, y)
  }

  /** Ends a tape: the losses of the targets, and the gradient that `backward` starts from. */
  crossEntropy(hidden: Variable, of: CrossEntropyRequest): void {
    crossEntropy(this, hidden, of)
  }

  /** Keeps only the input of `body`, which is computed again on the way back. */
  checkpoint(x: Variable, body: (tape: Tape, x: Variable) => Variable): Variable {
    return checkpoint<Tape>(this, (recording) => new Tape(this.workspace, { recording }), x, body)
  }
}
