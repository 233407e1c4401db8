import type { PagedStates } from '../attention/paged/paged-states.ts'
import type { PagedTiling } from '../attention/paged/paged-tiling.ts'
import type { Tensor } from '../device/device.ts'

/** Attention of some rows of a step, many of a sequence at once (prefill) or few (decode). */
export interface AttentionCall {
  readonly query: Tensor // [n, H, D]
  readonly output: Tensor // [n, H·D]
  readonly tiling: PagedTiling
  readonly splits: number
  readonly states: PagedStates | null
  /** the work for each window that layers of the model have (null: all keys), with what the cache's policy leaves of it */
  readonly works: ReadonlyMap<
    number | null,
    { readonly work: Tensor; readonly window: number | null; readonly sinks: number }
  >
}

/** Tensors of a step of N tokens. */
export interface StepViews {
  readonly ids: Tensor // i32 [N]
  readonly positions: Tensor // i32 [N]
  readonly slots: Tensor // i32 [N]
  readonly recentSlots: Tensor // i32 [N], of quantised caches
  readonly pageTable: Tensor // i32 [rows, maxPages]
  /** the residual stream */
  readonly x: Tensor // f32 [N, C]
  /** what layers read: normalised x */
  readonly h: Tensor // [N, C]
  /** what a sublayer gives where a normalisation follows it, and the second input of parallel layers */
  readonly y: Tensor // [N, C]
  readonly qkv: Tensor // f32 [N, (H + 2G)·D]
  readonly query: Tensor // [N, H, D]
  readonly attended: Tensor // [N, H·D]
  readonly inner: Tensor // [N, I]
  readonly attention: readonly AttentionCall[]
  /** the rows whose next token is asked for; null for none */
  readonly rows: { readonly indices: Tensor; readonly gathered: Tensor; readonly hidden: Tensor } | null
}
