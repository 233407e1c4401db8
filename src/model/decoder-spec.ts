import type { Activation } from '../nn/activations.ts'

/** The architectures of decoder-only transformers that are known, by the names of their configurations. */
export type ArchitectureName =
  | 'llama'
  | 'mistral'
  | 'qwen2'
  | 'qwen3'
  | 'gemma2'
  | 'gemma3'
  | 'phi3'
  | 'gpt2'
  | 'gpt_neox'
  | 'olmo2'
  | 'smollm3'

/** A normalisation: y = (x − mean) / √(mean of squares + eps) · (offset + weight) + bias; `rms` subtracts no mean. */
export interface NormSpec {
  readonly kind: 'rms' | 'layer'
  readonly eps: number
  /** added to the weight: 1 for Gemma, else 0 */
  readonly offset: number
  readonly bias: boolean
}

/**
 * Rotary positions: pair i of the first `rotaryDim` elements of a head turns by position · inverseFrequencies[i], and
 * both are multiplied by `attentionFactor`. Pairs are (i, i + rotaryDim / 2), or (2i, 2i + 1) when `interleaved`.
 */
export interface RopeSpec {
  readonly rotaryDim: number
  readonly interleaved: boolean
  /** radians per position, rotaryDim / 2 of them, scaling included */
  readonly inverseFrequencies: readonly number[]
  readonly attentionFactor: number
}

export interface AttentionSpec {
  readonly numHeads: number
  readonly numKvHeads: number
  readonly headDim: number
  /** factor of the scores */
  readonly scale: number
  /** c · tanh(score / c), null for none */
  readonly softCap: number | null
  /** a query sees its own and the window − 1 keys before it; null for all */
  readonly window: number | null
  readonly rope: RopeSpec | null
  /** normalisation of queries and keys before rope: each head by itself (weight [headDim]), or all heads as one row */
  readonly qkNorm: { readonly norm: NormSpec; readonly over: 'head' | 'all' } | null
  readonly qkvBias: boolean
  readonly outputBias: boolean
}

export interface MlpSpec {
  readonly size: number
  /** of the gate when `gated`: down(activation(gate(x)) · up(x)), else down(activation(up(x))) */
  readonly activation: Activation
  readonly gated: boolean
  readonly bias: boolean
}

/** x += afterAttention(attention(beforeAttention(x))); x += afterMlp(mlp(beforeMlp(x))). A null norm changes nothing. */
export interface LayerSpec {
  readonly attention: AttentionSpec
  readonly mlp: MlpSpec
  readonly norms: {
    readonly beforeAttention: NormSpec | null
    readonly afterAttention: NormSpec | null
    readonly beforeMlp: NormSpec | null
    readonly afterMlp: NormSpec | null
  }
  /** attention and MLP both read the layer's input, and both are added to it (GPT-NeoX) */
  readonly parallel: boolean
}

/** A decoder-only transformer as data: all that its weights do not say. */
export interface DecoderSpec {
  readonly architecture: ArchitectureName
  readonly vocabSize: number
  readonly hiddenSize: number
  readonly maxPositions: number
  /** token embeddings are multiplied by `scale`; `learnedPositions` adds a row of the position table (GPT-2) */
  readonly embedding: { readonly scale: number; readonly learnedPositions: boolean }
  readonly layers: readonly LayerSpec[]
  readonly finalNorm: NormSpec
  /** logits = softCap(lmHead(x)); `tied`: the matrix of the token embedding serves again */
  readonly logits: { readonly softCap: number | null; readonly tied: boolean; readonly bias: boolean }
  /** tokens that begin a text and that end a generation, as the configuration says */
  readonly bosToken: number | null
  readonly eosTokens: readonly number[]
}
