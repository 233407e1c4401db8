import type { WeightNames } from './architecture.ts'
import type { ConfigFields } from './config-fields.ts'

/** Gemma's four norms: "post_attention_layernorm" is here the one after attention. */
export const sandwichNames: WeightNames = {
  'layers.N.norms.afterAttention': 'layers.N.post_attention_layernorm',
  'layers.N.norms.beforeMlp': 'layers.N.pre_feedforward_layernorm',
  'layers.N.norms.afterMlp': 'layers.N.post_feedforward_layernorm',
}

/** `hidden_activation`; `hidden_act`, which old configurations have beside it, is not looked at, as in transformers. */
export const gemmaActivation = { field: 'hidden_activation', activation: 'gelu_pytorch_tanh' } as const

/** The older name of the activation, and the window of a model whose layers all see everything. */
export const gemmaIdle: readonly string[] = ['hidden_act', 'sliding_window']

/** A cap c of c · tanh(x / c); null for none; `fallback` where the configuration does not have the field at all. */
export function readSoftCap(config: ConfigFields, field: string, fallback: number | null): number | null {
  if (!config.states(field)) return fallback
  return config.has(field) ? config.positive(field) : null
}
