import type { Tensor } from '../../device/device.ts'
import type { PlacedRope } from '../../model/place-rope.ts'
import type { Activation } from '../../nn/activations.ts'
import type { AttentionKernel } from '../attention-kernel.ts'
import { activation, gated } from './activation.ts'
import { add } from './add.ts'
import { attention } from './attention.ts'
import type { CapturedWeights } from './captured-weights.ts'
import { checkpoint } from './checkpoint.ts'
import { type CrossEntropyRequest, crossEntropy } from './cross-entropy.ts'
import { embed, type TapeEmbedding } from './embedding.ts'
import { linear } from './linear.ts'
import { norm, type TapeNorm } from './norm.ts'
import { reshape } from './reshape.ts'
import { residual } from './residual.ts'
import { rotate } from './rotate.ts'
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

  /** a + b, both of which stay */
  add(a: Variable, b: Variable): Variable {
    return add(this, a, b)
  }

  reshape(x: Variable, shape: readonly number[]): Variable {
    return reshape(this, x, shape)
  }

  /** heads [N, H, D] turned by their positions */
  rotate(x: Variable, rope: PlacedRope, positions: Tensor): Variable {
    return rotate(this, x, rope, positions)
  }

  /** `kernel`: what `prepareTrainableAttention` gave; `captured`: weights that are trained, by the tensors that its score function captured */
  attention(
    inputs: { readonly query: Variable; readonly key: Variable; readonly value: Variable },
    kernel: AttentionKernel,
    captured?: CapturedWeights,
  ): Variable {
    return attention(this, inputs, kernel, captured)
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
