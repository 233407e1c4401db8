import type { Activation, GatedActivation } from '../nn/activations.ts'
import type { RoutingSpec } from '../nn/experts/routing-spec.ts'

/** Experts in place of an MLP: each token goes through a few of them (Shazeer et al. 2017, arXiv 1701.06538). */
export interface MixtureSpec {
  readonly experts: number
  /** outputs of the first product of one expert */
  readonly size: number
  readonly routing: RoutingSpec
  /** of the gate when `gated`: down(activation(gate(x)) · up(x)), else down(activation(up(x))) */
  readonly activation: Activation
  readonly gated: boolean
  /** of `gated`: combine(gate(x), up(x)) in place of activation(gate(x)) · up(x) */
  readonly combine?: GatedActivation
  /** products of experts and the router have biases */
  readonly bias?: true
  readonly routerBias?: true
  /** a number of each expert is added to its score when experts are chosen, not to its weight (DeepSeek-V3) */
  readonly selectionBias?: true
  /** weights multiply what experts are given instead of what they make (Llama 4) */
  readonly weighsInput?: true
  /** the shared expert is multiplied by sigmoid(sharedGate · x) (Qwen2-MoE) */
  readonly sharedGate?: true
}
