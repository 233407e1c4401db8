import type { PageLayout } from '../attention/paged/page-pool.ts'
import type { RopeLayout } from '../nn/rope-tables.ts'
import type { StorageDType } from '../tile/index.ts'

/** The sides of a projected token that a kernel handles. */
export type WriteSide = 'query' | 'key' | 'value'

/**
 * Normalisation of a head, or of all heads of a token as one row: y = x / √(mean x² + eps) · (offset + weight), of a layer norm
 * with the mean subtracted before. One weight for all heads ('head'), or one for each ('each head', 'all').
 */
export interface WriteNorm {
  /** 'rms' by default; 'layer' not over all heads, nor after rope */
  readonly kind?: 'rms' | 'layer'
  readonly eps: number
  readonly offset: number
  readonly over: 'head' | 'each head' | 'all'
  /** the norm comes after rope, which must not stretch */
  readonly afterRope?: boolean
}

/** What else is done to the sides of a token, before anything (`clip`), to values, and to queries after all. */
export interface WriteChanges {
  /** elements are kept within ± this */
  readonly clip?: number | undefined
  /** values of a head are divided by √(mean x² + eps) */
  readonly valueNormEps?: number | undefined
  /** queries are multiplied by 1 + strength · ln(1 + ⌊(position + offset) / period⌋) */
  readonly temperature?: { readonly strength: number; readonly period: number; readonly offset: number } | undefined
}

/**
 * What is projected of a token: queries, keys and values; queries and keys, which serve as values too, as they are before norm
 * and rope; or queries alone, whose keys and values lie in the pages already.
 */
export type Projected = 'all' | 'queriesAndKeys' | 'queries'

/** Columns of what is projected of a token. */
export function projectedWidth(
  projected: Projected,
  heads: Readonly<Record<'numHeads' | 'numKvHeads' | 'headDim' | 'valueDim', number>>,
): number {
  const { numHeads, numKvHeads, headDim, valueDim } = heads
  if (projected === 'queries') return numHeads * headDim
  return (numHeads + numKvHeads) * headDim + (projected === 'all' ? numKvHeads * valueDim : 0)
}

/** All that specialises the program; numbers of tokens and positions are run-time values. */
export interface WriteProgramSpec {
  readonly sides: readonly WriteSide[]
  readonly projected: Projected
  readonly layout: PageLayout
  readonly numHeads: number
  readonly numKvHeads: number
  readonly tileN: number
  readonly rope: { readonly layout: RopeLayout; readonly interleaved: boolean } | null
  readonly queryNorm: WriteNorm | null
  readonly keyNorm: WriteNorm | null
  readonly changes: WriteChanges
  readonly qkvDType: StorageDType
  readonly queryDType: StorageDType
  readonly normDType: StorageDType
  readonly alignment: { readonly qkv: number; readonly query: number; readonly pool: number }
}
