import type { Activation } from '../../nn/index.ts'
import type { AttentionSpec, DecoderSpec, LayerSpec, MlpSpec, NormSpec, RopeSpec } from '../decoder-spec.ts'
import type { PerLayerSpec } from '../per-layer-spec.ts'
import type { StreamsSpec } from '../streams-spec.ts'
import type { SpecOptions, WeightNames } from './architecture.ts'
import type { ConfigFields } from './config-fields.ts'
import { namedActivation } from './named-activation.ts'
import { type ReachRules, reachedPositions } from './reached-positions.ts'

/** Sizes of a decoder that every configuration states, under the names that most give them. */
export interface DecoderSizes {
  readonly vocabSize: number
  readonly hiddenSize: number
  readonly numLayers: number
  /** as the configuration says */
  readonly maxPositions: number
  /** with those that a scaling of rotary positions reaches beyond them */
  readonly reachedPositions: number
  readonly bosToken: number | null
  readonly eosTokens: readonly number[]
}

/** Throws `format` for a field that is missing or no whole number. `defaults`: what the architecture's own are. */
export function readSizes(
  config: ConfigFields,
  options: SpecOptions,
  defaults: ReachRules & { readonly vocabSize?: number; readonly maxPositions?: number } = {},
): DecoderSizes {
  const stated = config.size('max_position_embeddings', defaults.maxPositions ?? 2048)
  return {
    vocabSize: config.size('vocab_size', defaults.vocabSize),
    hiddenSize: config.size('hidden_size'),
    numLayers: config.size('num_hidden_layers'),
    maxPositions: stated,
    reachedPositions: reachedPositions(config, stated, options, defaults),
    bosToken: config.token('bos_token_id'),
    eosTokens: tokenList(config, 'eos_token_id'),
  }
}

/** One token id, a list of them, or nothing; -1 is no token. */
export function tokenList(config: ConfigFields, name: string): readonly number[] {
  if (!config.has(name)) return []
  try {
    const token = config.token(name)
    return token === null ? [] : [token]
  } catch (error) {
    const list = config.list(name)
    if (list?.every((token) => Number.isSafeInteger(token) && (token as number) >= -1))
      return (list as number[]).filter((token) => token >= 0)
    throw error
  }
}

export interface Heads {
  readonly numHeads: number
  readonly numKvHeads: number
  readonly headDim: number
}

/** Heads and their width (hidden size / heads where it is not stated). Throws `format` where they do not divide. */
export function readHeads(
  config: ConfigFields,
  hiddenSize: number,
  defaults: { readonly numHeads?: number; readonly numKvHeads?: number; readonly headDim?: number } = {},
): Heads {
  const numHeads = config.size('num_attention_heads', defaults.numHeads)
  const numKvHeads = config.size('num_key_value_heads', defaults.numKvHeads ?? numHeads)
  if (numHeads % numKvHeads !== 0)
    throw config.fault('num_key_value_heads', `${numKvHeads} does not divide ${numHeads} attention heads`)
  const stated = config.has('head_dim') ? config.size('head_dim') : defaults.headDim
  if (stated === undefined && hiddenSize % numHeads !== 0)
    throw config.fault('num_attention_heads', `${numHeads} does not divide the hidden size ${hiddenSize}`)
  return { numHeads, numKvHeads, headDim: stated ?? hiddenSize / numHeads }
}

export function rmsNorm(config: ConfigFields, offset = 0): NormSpec {
  return { kind: 'rms', eps: config.positive('rms_norm_eps', 1e-6), offset, bias: false }
}

export function layerNorm(config: ConfigFields, field: string, differs: Partial<NormSpec> = {}): NormSpec {
  return { kind: 'layer', eps: config.positive(field, 1e-5), offset: 0, bias: true, ...differs }
}

/** Scores by 1 / √headDim over all keys, no caps, norms or biases; `differs` says what an architecture does otherwise. */
export function plainAttention(
  heads: Heads,
  rope: RopeSpec | null,
  differs: Partial<AttentionSpec> = {},
): AttentionSpec {
  const plain = { scale: 1 / Math.sqrt(heads.headDim), softCap: null, window: null, qkNorm: null }
  return { ...heads, ...plain, rope, qkvBias: false, outputBias: false, ...differs }
}

/** down(activation(gate(x)) · up(x)) */
export function gatedMlp(
  config: ConfigFields,
  differs: { readonly bias?: boolean; readonly field?: string; readonly activation?: string } = {},
): MlpSpec {
  const activation = namedActivation(config, differs.field ?? 'hidden_act', differs.activation ?? 'silu')
  return { size: config.size('intermediate_size'), activation, gated: true, bias: differs.bias ?? false }
}

/** down(activation(up(x))) */
export function plainMlp(size: number, activation: Activation, bias: boolean): MlpSpec {
  return { size, activation, gated: false, bias }
}

/** A layer that normalises before attention and before the MLP, and nowhere else. */
export function preNormLayer(attention: AttentionSpec, mlp: MlpSpec, norm: NormSpec): LayerSpec {
  const norms = { beforeAttention: norm, afterAttention: null, beforeMlp: norm, afterMlp: null }
  return { attention, mlp, norms, parallel: false }
}

/** The rest of a decoder: `layer(n)` for each layer, embedding and logits as they are unless `differs` says otherwise. */
export function plainDecoder(
  architecture: DecoderSpec['architecture'],
  sizes: DecoderSizes,
  layer: (index: number) => LayerSpec,
  finalNorm: NormSpec,
  differs: {
    readonly tied: boolean
    readonly embeddingScale?: number
    readonly embeddingNorm?: NormSpec
    readonly learnedPositions?: boolean
    readonly firstPosition?: number
    readonly logitsSoftCap?: number | null
    readonly logitsScale?: number
    readonly headBias?: boolean
    readonly perLayer?: PerLayerSpec | null
    readonly streams?: StreamsSpec
  },
): DecoderSpec {
  const { numLayers, reachedPositions: maxPositions, ...rest } = sizes
  return {
    architecture,
    ...rest,
    maxPositions,
    embedding: {
      scale: differs.embeddingScale ?? 1,
      learnedPositions: differs.learnedPositions ?? false,
      ...(differs.firstPosition && { firstPosition: differs.firstPosition }),
      ...(differs.embeddingNorm && { norm: differs.embeddingNorm }),
    },
    layers: Array.from({ length: numLayers }, (_, index) => layer(index)),
    ...(differs.perLayer && { perLayer: differs.perLayer }),
    ...(differs.streams && { streams: differs.streams }),
    finalNorm,
    logits: {
      softCap: differs.logitsSoftCap ?? null,
      tied: differs.tied,
      bias: differs.headBias ?? false,
      ...(differs.logitsScale !== undefined && differs.logitsScale !== 1 && { scale: differs.logitsScale }),
    },
  }
}

/** What stands before the names of a decoder, alone or inside a model of text and images. */
export const decoderPrefixes: readonly string[] = ['model.', '', 'language_model.model.', 'model.language_model.']
export const decoderHeads: readonly string[] = ['lm_head', 'language_model.lm_head']

/** The names of Llama's weights, which most architectures have kept. */
export const plainNames: WeightNames = {
  tokenEmbedding: 'embed_tokens',
  finalNorm: 'norm',
  'layers.N.attention.query': 'layers.N.self_attn.q_proj',
  'layers.N.attention.key': 'layers.N.self_attn.k_proj',
  'layers.N.attention.value': 'layers.N.self_attn.v_proj',
  'layers.N.attention.output': 'layers.N.self_attn.o_proj',
  'layers.N.attention.queryNorm': 'layers.N.self_attn.q_norm',
  'layers.N.attention.keyNorm': 'layers.N.self_attn.k_norm',
  'layers.N.mlp.gate': 'layers.N.mlp.gate_proj',
  'layers.N.mlp.up': 'layers.N.mlp.up_proj',
  'layers.N.mlp.down': 'layers.N.mlp.down_proj',
  'layers.N.norms.beforeAttention': 'layers.N.input_layernorm',
  'layers.N.norms.beforeMlp': 'layers.N.post_attention_layernorm',
}

/** Norms after attention and MLP alone, as OLMo 2 calls them. */
export const afterNames: WeightNames = {
  'layers.N.norms.afterAttention': 'layers.N.post_attention_layernorm',
  'layers.N.norms.afterMlp': 'layers.N.post_feedforward_layernorm',
}

/** Learned sinks of attention, which end in no `.weight`. */
export const sinkName: WeightNames = { 'layers.N.attention.sinks': { tensor: 'layers.N.self_attn.sinks', bare: true } }

/** The names of a file whose decoder has the usual prefixes and head; `differs` replaces some of the names. */
export function namedLikeLlama(differs: WeightNames = {}) {
  return { prefixes: decoderPrefixes, names: { ...plainNames, ...differs }, head: decoderHeads }
}
