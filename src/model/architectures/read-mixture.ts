import type { RoutingSpec } from '../../nn/experts/routing-spec.ts'
import { silu } from '../../nn/index.ts'
import type { LayerSpec, MlpSpec } from '../decoder-spec.ts'
import type { MixtureSpec } from '../mixture-spec.ts'
import type { ConfigFields } from './config-fields.ts'
import { namedActivation } from './named-activation.ts'

/** Experts of SwiGLU; `differs` says what else a mixture has. */
export function gatedExperts(
  config: ConfigFields,
  experts: number,
  size: number,
  routing: RoutingSpec,
  differs: Partial<MixtureSpec> = {},
): MixtureSpec {
  if (routing.perToken > experts)
    throw config.fault('num_experts_per_tok', `${routing.perToken} cannot be chosen of ${experts} experts`)
  const activation = config.has('hidden_act') ? namedActivation(config, 'hidden_act') : silu
  return { experts, size, routing, activation, gated: true, ...differs }
}

/** An MLP beside or instead of experts: SwiGLU of this size; none where it is 0. */
export function gatedMlpOf(config: ConfigFields, size: number, bias = false): MlpSpec {
  return {
    size,
    activation: config.has('hidden_act') ? namedActivation(config, 'hidden_act') : silu,
    gated: true,
    bias,
  }
}

/** The layer with experts in place of its MLP, and `shared` as the expert that every token goes through. */
export function withExperts(layer: LayerSpec, mixture: MixtureSpec, shared: MlpSpec): LayerSpec {
  return { ...layer, mixture, mlp: shared }
}

/**
 * The routing of DeepSeek-V3: sigmoid scores, experts chosen by score + bias among those of the best groups (by the sum of
 * their best two), weights normalised where `norm_topk_prob`, times `routed_scaling_factor` (arXiv 2412.19437, section 2.1.2).
 */
export function biasedRouting(
  config: ConfigFields,
  defaults: {
    readonly perToken?: number
    readonly scale?: number
    readonly scaleField?: string
    readonly groups?: number
    readonly keptGroups?: number
  } = {},
): RoutingSpec {
  const groups = config.size('n_group', defaults.groups ?? 1)
  const kept = config.size('topk_group', defaults.keptGroups ?? groups)
  return {
    perToken: config.size('num_experts_per_tok', defaults.perToken),
    scores: 'sigmoid',
    groups: groups > 1 ? { count: groups, kept, by: 'bestTwo' } : null,
    normalize: config.flag('norm_topk_prob', true) ? { plus: 1e-20 } : null,
    scale: config.positive(defaults.scaleField ?? 'routed_scaling_factor', defaults.scale ?? 1),
  }
}

/** The routing of Mixtral: a softmax over all experts, weights normalised over the chosen where asked. */
export function softmaxRouting(perToken: number, normalized: boolean): RoutingSpec {
  return { perToken, scores: 'softmax', normalize: normalized ? { plus: 0 } : null }
}

/** Which layers have experts: `mlp_layer_types` ("dense" or "sparse"), or all from `first` on. */
export function sparseLayers(config: ConfigFields, numLayers: number, first: number): readonly boolean[] {
  const list = config.list('mlp_layer_types')
  if (!list) return Array.from({ length: numLayers }, (_, index) => index >= first)
  if (list.length !== numLayers)
    throw config.fault('mlp_layer_types', `has ${list.length} entries for ${numLayers} layers`)
  return list.map((type, index) => {
    if (type === 'dense' || type === 'sparse') return type === 'sparse'
    throw config.fault(`mlp_layer_types[${index}]`, `must be "dense" or "sparse", got ${String(type)}`)
  })
}
