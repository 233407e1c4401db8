import { FoveaError } from '../../tile/index.ts'
import type { DecoderSpec, LayerSpec, NormSpec } from '../decoder-spec.ts'
import type { GgufTable } from '../files/gguf.ts'
import { shown } from '../files/shown.ts'
import type { Architecture } from './architecture.ts'
import { type ConfigFields, configFields } from './config-fields.ts'
import { ggufRope, type RopeFactors } from './gguf-rope.ts'

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

/** A configuration, and which keys of its architecture (by the name after it) have been read so far. */
export interface GgufConfig {
  readonly config: ConfigFields
  isRead(name: string): boolean
}

/**
 * The metadata of a GGUF file as a configuration of Hugging Face's names, so that an architecture is read in one place.
 * Errors name the keys of the file. What llama.cpp knows of an architecture without a key is filled in.
 */
export function ggufConfig(
  table: GgufTable,
  architecture: Architecture & { readonly ggufName: string },
  factors: RopeFactors,
): GgufConfig {
  const { ggufName } = architecture
  const asked = new Set<string>()
  const keyOf = (name: string) => table.metadata.get(`${ggufName}.${name}`)
  const key = (name: string) => {
    asked.add(name)
    return keyOf(name)
  }
  const values: Record<string, unknown> = {}
  for (const [field, name] of Object.entries(ggufFields)) {
    const value = uniform(keyOf(name))
    // a window of 0 is none
    if (value !== undefined) values[field] = field === 'sliding_window' && value === 0 ? null : value
  }
  values.sliding_window ??= null
  values.vocab_size = table.has('token_embd.weight') ? table.get('token_embd.weight').shape[0] : undefined
  values.bos_token_id = tokenId(table, 'bos')
  values.eos_token_id = ['eos', 'eot', 'eom'].map((name) => tokenId(table, name)).filter((token) => token !== undefined)
  values.tie_word_embeddings = !table.has('output.weight')
  values.attention_bias = table.has('blk.0.attn_q.bias') || table.has('blk.0.attn_qkv.bias')
  values.mlp_bias = table.has('blk.0.ffn_up.bias')

  const heads = Number(values.num_attention_heads)
  const headDim = Number(values.head_dim ?? Number(values.hidden_size) / heads)
  // the largest models of Gemma scale by their width, the others by that of a head
  const widest = (architecture.name === 'gemma2' ? 46 : 62) === values.num_hidden_layers
  values.query_pre_attn_scalar = widest ? Number(values.hidden_size) / heads : headDim
  if (architecture.name.startsWith('gemma')) values.head_dim ??= headDim

  if (architecture.name.startsWith('gemma'))
    values.layer_types = patternOf(key('attention.sliding_window_pattern'), values)
  const valueWidth = uniform(key('attention.value_length')) ?? headDim
  if (valueWidth !== headDim)
    throw new FoveaError(
      'unsupported',
      'openCheckpoint',
      `${table.source}: ${ggufName}.attention.value_length is ${shown(valueWidth)}, that of keys ${headDim}`,
    )

  const turned = Number(key('rope.dimension_count') ?? headDim)
  const rope = {
    rope_theta: key('rope.freq_base') ?? 10_000,
    partial_rotary_factor: Number.isFinite(turned / headDim) ? turned / headDim : undefined,
  }
  const local = { rope_theta: key('rope.freq_base_swa') ?? 10_000 }
  const twoBases = architecture.name === 'gemma3'
  values.rope_parameters = twoBases ? { full_attention: rope, sliding_attention: local } : rope
  const fields = configFields(table.source, values, (name) => labelOf(ggufName, name))
  const config = { ...fields, rope: ggufRope(table.source, ggufName, key, factors, twoBases) }
  const isRead = (name: string) => {
    const left = new Set(config.unread().map((field) => field.name))
    const spellings = Object.entries(ggufFields).flatMap(([field, known]) => (known === name ? [field] : []))
    if (asked.has(name) || spellings.some((field) => !left.has(field) && field in values)) return true
    // GPT-2 has as many keys as queries, of hidden size / heads each, and does not ask
    if (name === 'attention.head_count_kv') return values.num_key_value_heads === heads
    return name === 'attention.key_length' && headDim === Number(values.hidden_size) / heads
  }
  return { config, isRead }
}

/** A token of the tokenizer; the largest numbers of 32 bits are the -1 of programs that have none. */
function tokenId(table: GgufTable, name: string): unknown {
  const token = table.metadata.get(`tokenizer.ggml.${name}_token_id`)
  return typeof token === 'number' && (token < 0 || token >= 2 ** 31) ? undefined : token
}

/** Which layers see a window: a flag each, or all but every n-th (of 0 all), as llama.cpp counts them. */
function patternOf(pattern: unknown, { num_hidden_layers: layers }: Record<string, unknown>): unknown {
  const type = (sliding: boolean) => (sliding ? 'sliding_attention' : 'full_attention')
  if (Array.isArray(pattern)) return pattern.map((sliding) => type(sliding === true))
  if (typeof pattern !== 'number' || typeof layers !== 'number' || layers > 65_536) return undefined
  return Array.from({ length: layers }, (_, index) => type(pattern === 0 || index % pattern < pattern - 1))
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
