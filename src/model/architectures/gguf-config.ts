import { FoveaError } from '../../tile/index.ts'
import type { DecoderSpec, LayerSpec, NormSpec } from '../decoder-spec.ts'
import type { GgufValue } from '../files/gguf-types.ts'
import { shown } from '../files/shown.ts'
import type { Architecture } from './architecture.ts'
import { type ConfigFields, configFields } from './config-fields.ts'
import { ggufFields, ggufLabel, switchesOf } from './gguf-fields.ts'
import { ggufRope, type RopeFactors } from './gguf-rope.ts'

/** What of a GGUF file says how its model is made, and nothing of its weights. */
export interface GgufOutline {
  readonly source: string
  readonly metadata: ReadonlyMap<string, GgufValue>
  has(tensor: string): boolean
  get(tensor: string): { readonly shape: readonly number[] }
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
  table: GgufOutline,
  architecture: Architecture & { readonly ggufName: string },
  factors: RopeFactors,
): GgufConfig {
  const { ggufName, gguf: facts = {} } = architecture
  const known = ggufFields(facts)
  const asked = new Set<string>()
  const keyOf = (name: string) => table.metadata.get(`${ggufName}.${name}`)
  const key = (name: string) => {
    asked.add(name)
    return keyOf(name)
  }
  const values: Record<string, unknown> = {}
  for (const [field, name] of Object.entries(known)) {
    const value = uniform(keyOf(name))
    // a window of 0 is none
    if (value !== undefined) values[field] = field === 'sliding_window' && value === 0 ? null : value
  }
  values.sliding_window ??= null
  values.vocab_size = table.has('token_embd.weight') ? table.get('token_embd.weight').shape[0] : undefined
  values.bos_token_id = tokenId(table, 'bos')
  values.eos_token_id = ['eos', 'eot', 'eom'].map((name) => tokenId(table, name)).filter((token) => token !== undefined)
  Object.assign(
    values,
    switchesOf((tensor) => table.has(tensor)),
  )
  const types = patternOf(keyOf('attention.sliding_window_pattern'), values)
  if (types !== undefined) values.layer_types = types
  Object.assign(values, facts.means?.({ key, has: (tensor) => table.has(tensor) }))

  const heads = Number(values.num_attention_heads)
  const headDim = Number(values.head_dim ?? Number(values.hidden_size) / heads)
  // the largest models of Gemma scale by their width, the others by that of a head
  const widest = (architecture.name === 'gemma2' ? 46 : 62) === values.num_hidden_layers
  values.query_pre_attn_scalar = widest ? Number(values.hidden_size) / heads : headDim
  if (Number.isInteger(headDim)) values.head_dim ??= headDim

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
  const twoBases = facts.windowBase !== undefined
  const local = { ...rope, rope_theta: key('rope.freq_base_swa') ?? facts.windowBase ?? rope.rope_theta }
  values.rope_parameters = twoBases ? { full_attention: rope, sliding_attention: local } : rope
  const fields = configFields(table.source, values, (name) => ggufLabel(ggufName, known, name))
  const config = { ...fields, rope: ggufRope(table.source, ggufName, key, factors, twoBases) }
  const isRead = (name: string) => {
    const only = facts.only?.[name]
    if (only !== undefined) return keyOf(name) === only
    const left = new Set(config.unread().map((field) => field.name))
    const spellings = Object.entries({ ...known, layer_types: 'attention.sliding_window_pattern' })
    const isSpelled = spellings.some(([field, key]) => key === name && !left.has(field) && field in values)
    if (asked.has(name) || isSpelled || facts.idle?.includes(name)) return true
    // GPT-2 has as many keys as queries, of hidden size / heads each, and does not ask
    if (name === 'attention.head_count_kv') return values.num_key_value_heads === heads
    return name === 'attention.key_length' && headDim === Number(values.hidden_size) / heads
  }
  return { config, isRead }
}

/** A token of the tokenizer; the largest numbers of 32 bits are the -1 of programs that have none. */
function tokenId(table: GgufOutline, name: string): unknown {
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
