import type { Activation } from '../nn/activations.ts'
import type { NormSpec } from './norm-spec.ts'

/**
 * An embedding of each token for each layer beside the one that the first layer is given (Gemma 3n): with x0 that one,
 *
 *   e_l = scale · table[token]_l + normScale · norm(projection · x0)_l       l: the l-th of L parts, each normalised by itself
 *
 * After its MLP layer l adds branchNorm(output_l · (activation(gate_l · x) · e_l)) to x.
 */
export interface PerLayerSpec {
  /** elements of e_l */
  readonly size: number
  /** rows of the table */
  readonly vocabSize: number
  readonly scale: number
  readonly norm: NormSpec
  readonly normScale: number
  readonly activation: Activation
  readonly branchNorm: NormSpec
}
