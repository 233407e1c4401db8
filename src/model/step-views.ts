import type { PagedStates } from '../attention/paged/paged-states.ts'
import type { PagedTiling } from '../attention/paged/paged-tiling.ts'
import type { Tensor } from '../device/device.ts'
import type { MixtureOptions } from '../nn/experts/mixture.ts'
import type { VisibleKeys } from './plan-heads.ts'

/** Attention of some rows of a step, many of a sequence at once (prefill) or few (decode). */
export interface AttentionCall {
  readonly query: Tensor // [n, H, D]
  readonly output: Tensor // [n, H·Dv]
  readonly tiling: PagedTiling
  readonly splits: number
  readonly states: PagedStates | null
  /** by `visibilityKey` of layers: the work for the keys that they see, with what the cache's policy leaves of those */
  readonly works: ReadonlyMap<string, Omit<VisibleKeys, 'key'> & { readonly work: Tensor }>
}

/** What layers whose heads are alike compute attention in. */
export interface HeadViews {
  readonly qkv: Tensor // f32 [N, (H + G)·D + G·Dv], of latent attention [N, rank or H·(nope + rope) of queries, D]
  readonly query: Tensor // [N, H, D]
  readonly attended: Tensor // [N, H·Dv]
  /** gates of what attention gives, by how many a token has */
  readonly gate: ReadonlyMap<number, Tensor> // [N, H·Dv] or [N, H]
  readonly attention: readonly AttentionCall[]
  /** of latent attention: normalised latents of queries and the queries made of them, and what heads give */
  readonly latent: {
    readonly queryDown: Tensor | null // [N, rank of queries]
    readonly queryUp: Tensor | null // [N, H·(nope + rope)]
    readonly output: Tensor // [N, H·valueDim]
  } | null
}

/** What a mixture layer of one size computes in. */
export interface MixtureViews {
  readonly logits: Tensor // f32 [N, E]
  readonly chosen: Tensor // i32 [N, K]
  readonly weights: Tensor // f32 [N, K]
  readonly buffers: MixtureOptions['buffers']
}

/** What embeddings of each layer are computed in. */
export interface PerLayerViews {
  readonly embeddings: Tensor // [N, L·P]
  readonly projected: Tensor // [N, L·P]
  /** what a layer's gate gives */
  readonly gated: Tensor // [N, P]
}

/** What residual streams are computed in. */
export interface StreamsViews {
  readonly all: Tensor // f32 [S, N, C]
  readonly predicted: Tensor // f32 [S, N, C]
  readonly each: readonly Tensor[] // f32 [N, C]
  readonly eachPredicted: readonly Tensor[] // f32 [N, C]
  readonly routed: Tensor // f32 [N, S]
  readonly prediction: Tensor // f32 [N, S·S]
  readonly correction: Tensor // f32 [N, S]
}

/** Tensors of a step of N tokens. */
export interface StepViews {
  readonly ids: Tensor // i32 [N]
  readonly positions: Tensor // i32 [N]
  readonly slots: Tensor // i32 [N]
  readonly recentSlots: Tensor // i32 [N], of quantised caches
  readonly pageTable: Tensor // i32 [rows, maxPages]
  /** what is normalised into x, where a norm follows the embedding */
  readonly embedded: Tensor // f32 [N, C]
  /** the residual stream */
  readonly x: Tensor // f32 [N, C]
  /** what layers read: normalised x */
  readonly h: Tensor // [N, C]
  /** what a sublayer gives where a normalisation follows it, and the second input of parallel layers */
  readonly y: Tensor // [N, C]
  /** what one of two branches gives before its norm */
  readonly z: Tensor // [N, C]
  /** by `headsKey` of a layer */
  readonly heads: ReadonlyMap<string, HeadViews>
  /** by the width of a layer's MLP */
  readonly inner: ReadonlyMap<number, Tensor> // [N, I]
  /** by `mixtureKey` */
  readonly mixtures: ReadonlyMap<string, MixtureViews>
  /** gates and ups of MLPs whose gates count from a cut on, by their width */
  readonly gates: ReadonlyMap<number, Tensor> // [N, 2·I]
  /** by rank */
  readonly laurel: ReadonlyMap<number, Tensor> // [N, rank]
  readonly streams: StreamsViews | null
  /** null where there are none */
  readonly perLayer: PerLayerViews | null
  /** of a shared expert */
  readonly sharedGate: Tensor // [N, 1]
  /** the rows whose next token is asked for; null for none */
  readonly rows: { readonly indices: Tensor; readonly gathered: Tensor; readonly hidden: Tensor } | null
}
