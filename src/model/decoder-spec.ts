import type { Activation, GatedActivation } from '../nn/activations.ts'
import type { MixtureSpec } from './mixture-spec.ts'
import type { NormSpec } from './norm-spec.ts'
import type { PerLayerSpec } from './per-layer-spec.ts'
import type { StreamsSpec } from './streams-spec.ts'

export type { NormSpec } from './norm-spec.ts'

/** The name of an architecture that is known (`architectures`), as its configurations have it. */
export type ArchitectureName = string

// Fields that may be absent say something that few architectures have; absent, there is none of it.

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
  /** width of values (headDim) */
  readonly valueDim?: number
  /** factor of the scores */
  readonly scale: number
  /** c · tanh(score / c), null for none */
  readonly softCap: number | null
  /** a query sees its own and the window − 1 keys before it; null for all */
  readonly window: number | null
  readonly rope: RopeSpec | null
  /**
   * normalisation of queries and keys before rope (or after it): each head by itself with one weight [headDim] for all
   * ('head') or one for each ('each head', weight [heads · headDim]), or all heads as one row ('all', [heads · headDim])
   */
  readonly qkNorm: {
    readonly norm: NormSpec
    readonly over: 'head' | 'each head' | 'all'
    readonly afterRope?: true
  } | null
  readonly qkvBias: boolean
  readonly outputBias: boolean
  /** queries, keys and values are kept within ± this, before anything else (OLMo, MPT) */
  readonly clip?: number
  /** ALiBi: score + slope · (k − q), a slope for each head (Press et al. 2021, arXiv 2108.12409) */
  readonly alibiSlopes?: readonly number[]
  /** a learned logit for each head joins the sum of the softmax, and nothing else (gpt-oss) */
  readonly sinks?: true
  /** a query sees the keys before it in its own chunk of so many positions (Llama 4) */
  readonly chunk?: number
  /** queries are multiplied, after rope, by 1 + strength · ln(1 + ⌊(position + offset) / period⌋) (Llama 4, Ministral 3) */
  readonly temperature?: QueryTemperature
  /** values of each head are divided by their root mean square, √(mean + eps) (Gemma 3n and 4) */
  readonly valueNormEps?: number
  /** keys serve as values too, before norm and rope (Gemma 4) */
  readonly keysAsValues?: true
  /** the earlier layer whose keys and values serve here too: this one makes and keeps none, its heads are alike (Gemma 3n and 4) */
  readonly keysFrom?: number
  /** what attention gives is multiplied by activation(gate · input), a gate for each element or head, before the output */
  readonly gate?: { readonly activation: Activation; readonly per: 'element' | 'head' }
  /** keys and values are made of one latent; the fields above then say how queries meet it */
  readonly latent?: LatentSpec
}

/**
 * Latent attention (DeepSeek-V2, 2024, arXiv 2405.04434). Of a token stays c = kvNorm(the first `rank` columns of latentDown · x)
 * and k = rope(the `ropeDim` others); with q_h the first `nopeDim` rows of head h of queryUp · queryNorm(queryDown · x), or of
 * query · x where there is no `query`, and r_h = rope(the `ropeDim` others), and U_h, V_h the first `nopeDim` and the
 * `valueDim` other rows of head h of latentUp,
 *
 *   score_h = scale · (q_h · U_h c + r_h · k)      output_h = V_h Σ softmax(score_h) c
 *
 * U_hᵀ q_h meets c as it is kept: one key head of width rank + ropeDim whose values are its first `rank` columns, which is what
 * `numKvHeads`, `headDim` and `valueDim` of the attention say. `rope` turns pairs of its last columns.
 */
export interface LatentSpec {
  readonly query: { readonly rank: number; readonly norm: NormSpec } | null
  readonly rank: number
  readonly norm: NormSpec
  readonly nopeDim: number
  readonly ropeDim: number
  /** of what each head gives */
  readonly valueDim: number
}

export interface QueryTemperature {
  readonly strength: number
  readonly period: number
  readonly offset: number
}

export interface MlpSpec {
  readonly size: number
  /** of the gate when `gated`: down(activation(gate(x)) · up(x)), else down(activation(up(x))) */
  readonly activation: Activation
  readonly gated: boolean
  readonly bias: boolean
  /** in place of the activation xIELU, whose four numbers are in the file */
  readonly learnedActivation?: 'xielu'
  /** of `gated`: combine(gate(x), up(x)) in place of activation(gate(x)) · up(x) */
  readonly combine?: GatedActivation
  /** of `gated`: gates count from so many standard deviations above their mean on, less that (Gemma 3n, see `sparseGate`) */
  readonly gateDeviations?: number
}

/** After attention x = (x + h + norm(up · down · h)) / √2, h its normalised input (LAuReL: Menghani et al. 2024, arXiv 2411.07501). */
export interface LaurelSpec {
  readonly rank: number
  readonly norm: NormSpec
}

/** x += afterAttention(attention(beforeAttention(x))); x += afterMlp(mlp(beforeMlp(x))). A null norm changes nothing. */
export interface LayerSpec {
  readonly attention: AttentionSpec
  /** of a layer with a mixture what all tokens go through beside it, the shared expert; of size 0 where there is none */
  readonly mlp: MlpSpec
  /** experts in place of the MLP */
  readonly mixture?: MixtureSpec
  readonly norms: {
    readonly beforeAttention: NormSpec | null
    readonly afterAttention: NormSpec | null
    readonly beforeMlp: NormSpec | null
    readonly afterMlp: NormSpec | null
  }
  /** attention and MLP both read the layer's input, and both are added to it (GPT-NeoX) */
  readonly parallel: boolean
  /** factors of what attention and MLP add to x (Granite) */
  readonly branchScale?: { readonly attention: number; readonly mlp: number }
  /** x is multiplied, after all, by a number of the file (Gemma 4) */
  readonly outputScale?: true
  readonly laurel?: LaurelSpec
}

/** A decoder-only transformer as data: all that its weights do not say. */
export interface DecoderSpec {
  readonly architecture: ArchitectureName
  readonly vocabSize: number
  readonly hiddenSize: number
  readonly maxPositions: number
  /**
   * token embeddings are multiplied by `scale`; `learnedPositions` adds a row of the position table (GPT-2), that of the
   * position + `firstPosition` (OPT); `norm` follows (BLOOM)
   */
  readonly embedding: {
    readonly scale: number
    readonly learnedPositions: boolean
    readonly firstPosition?: number
    readonly norm?: NormSpec
  }
  readonly layers: readonly LayerSpec[]
  /** tokens have an embedding for each layer, too (Gemma 3n and 4) */
  readonly perLayer?: PerLayerSpec
  /** several residual streams (Gemma 3n) */
  readonly streams?: StreamsSpec
  readonly finalNorm: NormSpec
  /** logits = softCap(scale · lmHead(x)), scale not beside a bias; `tied`: the matrix of the token embedding serves again */
  readonly logits: {
    readonly softCap: number | null
    readonly tied: boolean
    readonly bias: boolean
    readonly scale?: number
  }
  /** tokens that begin a text and that end a generation, as the configuration says */
  readonly bosToken: number | null
  readonly eosTokens: readonly number[]
}
