import type { ConfigFields } from './config-fields.ts'
import { routerNames, separateExperts } from './expert-names.ts'
import { gatedExperts, softmaxRouting } from './read-mixture.ts'

/** windows that are switched off, and what only training reads */
export const idle: readonly string[] = ['sliding_window', 'max_window_layers', 'shared_expert_intermediate_size']

export const ggufExperts = {
  num_experts: 'expert_count',
  num_experts_per_tok: 'expert_used_count',
  moe_intermediate_size: 'expert_feed_forward_length',
} as const

export const experts = {
  ...routerNames('layers.N.mlp.gate'),
  ...separateExperts('layers.N.mlp.experts.E'),
}

/** The number of experts is `num_experts`, since transformers 5 `num_local_experts`. */
export function mixtureOf(
  config: ConfigFields,
  defaults: { readonly experts: number; readonly perToken: number; readonly size: number },
) {
  const field = config.has('num_local_experts') ? 'num_local_experts' : 'num_experts'
  const perToken = config.size('num_experts_per_tok', defaults.perToken)
  const routing = softmaxRouting(perToken, config.flag('norm_topk_prob', false))
  return gatedExperts(
    config,
    config.size(field, defaults.experts),
    config.size('moe_intermediate_size', defaults.size),
    routing,
  )
}

/** Every `decoder_sparse_step`-th layer has experts, those of `mlp_only_layers` have not. */
export function sparseOf(config: ConfigFields, numLayers: number): readonly boolean[] {
  const step = config.size('decoder_sparse_step', 1)
  const dense = new Set(config.list('mlp_only_layers') ?? [])
  return Array.from({ length: numLayers }, (_, index) => !dense.has(index) && (index + 1) % step === 0)
}
