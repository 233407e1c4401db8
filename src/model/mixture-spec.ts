import type { Activation, GatedActivation } from '../nn/activations.ts'
import type { RoutingSpec } from '../nn/experts/routing-spec.ts'
import type { NormSpec } from './norm-spec.ts'

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
  /** what an expert makes is multiplied by a number of its own (Gemma 4) */
  readonly expertScale?: true
  /** experts and shared expert are branches with norms of their own, whose sum goes on (Gemma 4); not in parallel layers */
  readonly branches?: BranchNorms
}

/**
 * afterShared(shared(beforeMlp(x))) + afterExperts(experts(beforeExperts(x))), experts chosen by router · (routerFactor ·
 * beforeRouter(x)).
 */
export interface BranchNorms {
  readonly beforeRouter: NormSpec
  readonly routerFactor: number
  readonly beforeExperts: NormSpec
  readonly afterExperts: NormSpec
  readonly afterShared: NormSpec
}

export const branchNorms = ['beforeRouter', 'beforeExperts', 'afterExperts', 'afterShared'] as const
