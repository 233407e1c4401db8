import type { DecoderSpec, LayerSpec, NormSpec } from '../decoder-spec.ts'
import type { GgufTable } from '../files/gguf.ts'
import type { Architecture } from './architecture.ts'
import { type ConfigFields, configFields } from './config-fields.ts'

/** Divisors of rotary frequencies that a file has as tensors (`rope_freqs`, `rope_factors_short`, `rope_factors_long`). */
export interface RopeFactors {
  readonly all?: readonly number[]
  readonly short?: readonly number[]
  readonly long?: readonly number[]
}

/** Fields of configurations by the names that llama.cpp gives them, after the name of the architecture. */
const ggufFields: Readonly<Record<string, string>> = {
  hidden_size: 'embedding_length',
  n_embd: 'embedding_length',
  num_hidden_layers: 'block_count',
  n_layer: 'block_count',
  num_attention_heads: 'attention.head_count',
  n_head: 'attention.head_count',
  num_key_value_heads: 'attention.head_count_kv',
  head_dim: 'attention.key_length',
  intermediate_size: 'feed_forward_length',
  n_inner: 'feed_forward_length',
  max_position_embeddings: 'context_length',
  n_positions: 'context_length',
  rms_norm_eps: 'attention.layer_norm_rms_epsilon',
  layer_norm_eps: 'attention.layer_norm_epsilon',
  layer_norm_epsilon: 'attention.layer_norm_epsilon',
  sliding_window: 'attention.sliding_window',
  attn_logit_softcapping: 'attn_logit_softcapping',
  final_logit_softcapping: 'final_logit_softcapping',
  use_parallel_residual: 'use_parallel_residual',
}

/**
 * The metadata of a GGUF file as a configuration of Hugging Face's names, so that an architecture is read in one place.
 * Errors name the keys of the file. What llama.cpp knows of an architecture without a key is filled in.
 */
export function ggufConfig(table: GgufTable, architecture: Architecture, factors: RopeFactors): ConfigFields {
  const { ggufName } = architecture
  const key = (name: string) => table.metadata.get(`${ggufName}.${name}`)
  const values: Record<string, unknown> = {}
  for (const [field, name] of Object.entries(ggufFields)) {
    const value = uniform(key(name))
    // a window of 0 is none
    if (value !== undefined) values[field] = field === 'sliding_window' && value === 0 ? null : value
  }
  values.sliding_window ??= null
  values.vocab_size = table.has('token_embd.weight') ? table.get('token_embd.weight').shape[0] : undefined
  values.bos_token_id = table.metadata.get('tokenizer.ggml.bos_token_id')
  values.eos_token_id = ['eos', 'eot', 'eom']
    .map((name) => table.metadata.get(`tokenizer.ggml.${name}_token_id`))
    .filter((token) => token !== undefined)
  values.tie_word_embeddings = !table.has('output.weight')
  values.attention_bias = table.has('blk.0.attn_q.bias') || table.has('blk.0.attn_qkv.bias')
  values.mlp_bias = table.has('blk.0.ffn_up.bias')

  const heads = Number(values.num_attention_heads)
  const headDim = Number(values.head_dim ?? Number(values.hidden_size) / heads)
  // the largest models of Gemma scale by their width, the others by that of a head
  const widest = (architecture.name === 'gemma2' ? 46 : 62) === values.num_hidden_layers
  values.query_pre_attn_scalar = widest ? Number(values.hidden_size) / heads : headDim
  if (architecture.name.startsWith('gemma')) values.head_dim ??= headDim

  const rope = ropeParameters(key, factors)
  const turned = Number(key('rope.dimension_count') ?? headDim)
  rope.partial_rotary_factor = Number.isFinite(turned / headDim) ? turned / headDim : undefined
  const local = { rope_theta: key('rope.freq_base_swa') ?? 10_000 }
  values.rope_parameters = architecture.name === 'gemma3' ? { full_attention: rope, sliding_attention: local } : rope
  return configFields(table.source, values, (name) => labelOf(ggufName, name))
}

/** Keys of rotary positions by the last part of their name in a configuration. */
const ropeKeys: Readonly<Record<string, string>> = {
  rope_theta: 'rope.freq_base',
  partial_rotary_factor: 'rope.dimension_count',
  rope_type: 'rope.scaling.type',
  factor: 'rope.scaling.factor',
  attention_factor: 'rope.scaling.attn_factor',
  original_max_position_embeddings: 'rope.scaling.original_context_length',
}

function labelOf(ggufName: string, name: string): string {
  if (name === 'bos_token_id' || name === 'eos_token_id') return `tokenizer.ggml.${name}`
  const last = name.split('.').at(-1) ?? name
  return `${ggufName}.${ggufFields[name] ?? ropeKeys[last] ?? name}`
}

/** A number per layer where all are the same; else as it is, to be refused. */
function uniform(value: unknown): unknown {
  if (!Array.isArray(value) || value.length === 0) return value
  return value.every((element) => element === value[0]) ? value[0] : value
}

function ropeParameters(key: (name: string) => unknown, factors: RopeFactors): Record<string, unknown> {
  const factor = key('rope.scaling.factor') ?? key('rope.scale_linear')
  const stated = key('rope.scaling.type') ?? (factor === undefined ? 'none' : 'linear')
  const parameters: Record<string, unknown> = {
    rope_theta: key('rope.freq_base') ?? 10_000,
    rope_type: stated === 'none' ? 'default' : stated,
    factor: factor ?? 1,
    original_max_position_embeddings: key('rope.scaling.original_context_length'),
    attention_factor: key('rope.scaling.attn_factor'),
  }
  if (factors.short && factors.long)
    return { ...parameters, rope_type: 'longrope', short_factor: factors.short, long_factor: factors.long }
  // Llama 3's scaling is stored as the divisors that it comes to
  if (factors.all)
    return {
      ...parameters,
      rope_type: 'longrope',
      short_factor: factors.all,
      long_factor: factors.all,
      attention_factor: 1,
    }
  return parameters
}

/** Norm weights in GGUF files already have Gemma's 1 added. */
export function withoutNormOffsets(spec: DecoderSpec): DecoderSpec {
  const plain = (norm: NormSpec): NormSpec => ({ ...norm, offset: 0 })
  const maybe = (norm: NormSpec | null) => norm && plain(norm)
  const layers = spec.layers.map((layer): LayerSpec => {
    const { qkNorm } = layer.attention
    return {
      ...layer,
      attention: { ...layer.attention, qkNorm: qkNorm && { ...qkNorm, norm: plain(qkNorm.norm) } },
      norms: {
        beforeAttention: maybe(layer.norms.beforeAttention),
        afterAttention: maybe(layer.norms.afterAttention),
        beforeMlp: maybe(layer.norms.beforeMlp),
        afterMlp: maybe(layer.norms.afterMlp),
      },
    }
  })
  return { ...spec, layers, finalNorm: plain(spec.finalNorm) }
}
