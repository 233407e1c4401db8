import { changedConfig } from './made-checkpoint.ts'

/** Recorded models that GGUF files hold as they are, in llama.cpp's form. */
export const recordedGguf =
  `mixtral qwen3-moe gemma granite-tied granitemoe glm4 glm4-moe cohere phi starcoder2 stablelm stablelm-2
  olmo ernie4-5 ernie4-5-moe hunyuan-dense seed-oss falcon falcon-new bloom mpt minimax-m2
  gpt-bigcode olmo3`.split(/\s+/)

const defaultRope = (theta: number) => ({ rope_parameters: { rope_type: 'default', rope_theta: theta } })

/**
 * Recorded models that GGUF files do not hold, by what exportGguf says of them, and what is changed for a model of the same
 * architecture, of weights out of the air, that they do.
 */
export const changedGguf: Readonly<
  Record<string, readonly [refusal: RegExp, changes: Readonly<Record<string, unknown>>]>
> = {
  'qwen2-moe': [/layers\.0\.mlp\.size otherwise/, { mlp_only_layers: [] }],
  'gpt-oss': [/no divisors of rotary frequencies/, { ...defaultRope(150_000), sliding_window: 16 }],
  glm: [/heads that fill the width/, { head_dim: 8 }],
  'cohere-qknorm': [/norms of queries and keys/, { use_qk_norm: false, attention_bias: false }],
  cohere2: [/heads that fill the width/, { head_dim: 8 }],
  olmoe: [/as many heads of keys/, { num_key_value_heads: 4 }],
  exaone4: [/windows in models of 64 layers/, { sliding_window: null, layer_types: null }],
  arcee: [/no factor of rotary attention/, defaultRope(10_000)],
  nemotron: [/heads that fill the width/, { head_dim: 8, hidden_size: 32 }],
  afmoe: [/window otherwise/, { num_hidden_layers: 4, layer_types: null }],
  'exaone-moe': [/window otherwise/, { num_hidden_layers: 4, layer_types: null, mlp_layer_types: null }],
  dots1: [/as many heads of keys/, { num_key_value_heads: 4 }],
}

export const changedGgufConfig = (name: string): Record<string, unknown> =>
  changedConfig(name, changedGguf[name]?.[1] ?? {})
