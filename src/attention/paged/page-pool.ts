import type { Tensor } from '../../device/device.ts'
import type { StorageDType } from '../../tile/index.ts'

/**
 * How keys and values are stored in pages: as floats, or as whole numbers of 8 or 4 bits with a scale for each token and
 * head (two of 4 bits share a byte: element i the low half, i + D / 2 the high one).
 */
export type PageFormat = (typeof pageFormats)[number]

export const pageFormats = ['f32', 'f16', 'bf16', 'q8', 'q4'] as const

/** All of a pool that specialises a program. */
export interface PageLayout {
  readonly format: PageFormat
  readonly pageSize: number
  /** width of a head's keys, and of its values */
  readonly headDim: number
  readonly valueDim: number
  /** a key is its value, followed by what is stored as key: latent attention (DeepSeek-V2, arXiv 2405.04434) stores nothing twice */
  readonly latent: boolean
  /** pool tensors for keys, and as many for values: where one binding cannot hold the pool */
  readonly segments: number
  readonly pagesPerSegment: number
  /** quantised formats: the newest tokens of each row of the page table that are kept unquantised too; else 0 */
  readonly recentTokens: number
  readonly recentDType: 'f32' | 'f16' | 'bf16'
}

/**
 * Pages of keys and values of one layer. Page p lies in segment ⌊p / pagesPerSegment⌋. Quantised pools keep the newest tokens
 * unquantised beside the pages: token t of the sequence in row r lies in recent[r, ·, t mod recentTokens].
 */
export interface PagePool extends PageLayout {
  readonly pages: number
  readonly numKvHeads: number
  readonly keys: readonly Tensor[] // each [pagesPerSegment, pageSize, G, D], of q4 [.., D / 2]; latent: D − Dv for D
  readonly values: readonly Tensor[] // the same of width Dv
  readonly scales: readonly Tensor[] // quantised: f32 [pagesPerSegment, 2, G, pageSize], keys then values; else none
  readonly recent: Tensor | null // quantised: [rows, 2, recentTokens, G, recentWidth], keys then values
}

/** How an element of a page is stored. */
export function pageDType(format: PageFormat): StorageDType {
  return format === 'q8' ? 'i8' : format === 'q4' ? 'u8' : format
}

export function isQuantised(format: PageFormat): format is 'q8' | 'q4' {
  return format === 'q8' || format === 'q4'
}

/** Elements of a row of a page as stored, of `width` keys or values. */
export function pageWidth(format: PageFormat, width: number): number {
  return format === 'q4' ? width / 2 : width
}

/** What decides how wide a row is. */
export type HeadWidths = Pick<PageLayout, 'headDim' | 'valueDim' | 'latent'>

/** Columns of a key that are stored as key. */
export function storedKeyDim({ headDim, valueDim, latent }: HeadWidths): number {
  return latent ? headDim - valueDim : headDim
}

/** Elements of a row of the recent tokens, which keys and values share. */
export function recentWidth(widths: HeadWidths): number {
  return Math.max(storedKeyDim(widths), widths.valueDim)
}

/** The tensors of a pool by the names that kernels bind them by. */
export function poolTensors(pool: PagePool): Record<string, Tensor> {
  const tensors: Record<string, Tensor> = {}
  pool.keys.forEach((tensor, s) => {
    tensors[`key${s}`] = tensor
  })
  pool.values.forEach((tensor, s) => {
    tensors[`value${s}`] = tensor
  })
  pool.scales.forEach((tensor, s) => {
    tensors[`scales${s}`] = tensor
  })
  if (pool.recent) tensors.recent = pool.recent
  return tensors
}

/** What programs over a pool are told apart by. */
export function layoutKey(layout: PageLayout): string {
  const { format, pageSize, headDim, valueDim, latent, segments, recentTokens, recentDType } = layout
  // where there is one segment its size takes no part
  const bounds = segments > 1 ? layout.pagesPerSegment : ''
  return `${format} ${pageSize} ${headDim} ${valueDim} ${latent} ${segments} ${bounds} ${recentTokens} ${recentDType}`
}
