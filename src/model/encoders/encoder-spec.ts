import type { LayerSpec, NormSpec } from '../decoder-spec.ts'

/** The encoders that are known; decoders that give embeddings have the names of their own architecture. */
export type EncoderName = 'bert' | 'roberta' | 'modernbert' | 'nomic_bert' | 'eurobert'

/** Which of a text's last hidden states becomes its vector: their mean, the first, or the last. */
export type Pooling = 'mean' | 'cls' | 'last'

/** Learned rows for positions: token n of a text has row `first + n`; tokens that are `padToken` have row padToken and do not count. */
export interface LearnedPositions {
  readonly rows: number
  readonly first: number
  readonly padToken: number | null
}

/**
 * A layer of an encoder: that of a decoder, with norms after the residual sums where `sumNorms` has them (post-norm layers):
 * x = attentionSum(x + attention(x)); x = mlpSum(x + mlp(x)). `attention.window`: a query sees keys fewer than so many tokens
 * away, on both sides unless the encoder is causal.
 */
export interface EncoderLayerSpec extends LayerSpec {
  readonly sumNorms: { readonly attention: NormSpec | null; readonly mlp: NormSpec | null }
}

/** What turns the tokens of texts into hidden states, all at once and without a cache, as data. */
export interface EncoderSpec {
  readonly architecture: string
  readonly vocabSize: number
  readonly hiddenSize: number
  /** most tokens of a text */
  readonly maxPositions: number
  /** x = norm(scale · token + position + token type) */
  readonly embedding: {
    readonly scale: number
    readonly positions: LearnedPositions | null
    /** rows of the table of token types, 0 for none */
    readonly tokenTypes: number
    readonly norm: NormSpec | null
  }
  readonly layers: readonly EncoderLayerSpec[]
  readonly finalNorm: NormSpec | null
  /** tokens see those before them only (embeddings of decoders) */
  readonly causal: boolean
  readonly bosToken: number | null
  readonly eosTokens: readonly number[]
}

/**
 * What makes one number of a text, or of a query and a text, from the pooled hidden state h:
 * score(norm(activation(dense(h)))), where `dense` and `norm` may be missing.
 */
export interface ScoreHeadSpec {
  readonly pooling: Pooling
  readonly dense: { readonly activation: 'tanh' | 'gelu' | 'relu' | 'silu'; readonly bias: boolean } | null
  readonly norm: NormSpec | null
  readonly bias: boolean
}
