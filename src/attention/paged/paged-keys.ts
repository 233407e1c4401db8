import {
  colRange,
  load,
  type ProgramBuilder,
  rowRange,
  type StorageDType,
  select,
  type TensorParam,
  type Value,
} from '../../tile/index.ts'
import type { KeyTiles } from '../softmax/attend-tile.ts'
import {
  isQuantised,
  type PageFormat,
  type PageLayout,
  pageDType,
  pageWidth,
  recentWidth,
  storedKeyDim,
} from './page-pool.ts'

/** The tensors of a page pool as parameters of a program. */
export interface PageParams {
  readonly key: readonly TensorParam[] // [pagesPerSegment, pageSize, G, D]
  readonly value: readonly TensorParam[]
  readonly scales: readonly TensorParam[] // [pagesPerSegment, 2, G, pageSize]
  readonly recent: TensorParam | null // [rows, 2, recentTokens, G, recentWidth]
}

/** Declares a pool's tensors for reading. */
export function pageParams(p: ProgramBuilder, layout: PageLayout, alignment: number): PageParams {
  const { format, valueDim, segments, pageSize, recentTokens, recentDType } = layout
  const each = <T>(make: (segment: number) => T) => Array.from({ length: segments }, (_, s) => make(s))
  const sizes = (width: number) => [null, pageSize, null, pageWidth(format, width)]
  const recentSizes = [null, 2, recentTokens, null, recentWidth(layout)]
  return {
    key: each((s) => p.input(`key${s}`, pageDType(format), sizes(storedKeyDim(layout)), { alignment })),
    value: each((s) => p.input(`value${s}`, pageDType(format), sizes(valueDim), { alignment })),
    scales: isQuantised(format) ? each((s) => p.input(`scales${s}`, 'f32', [null, 2, null, pageSize])) : [],
    recent: recentTokens > 0 ? p.input('recent', recentDType, recentSizes, { alignment }) : null,
  }
}

/** Columns of a tile, and how many of them there are in the head; beyond those it is padded. */
export interface TilePart {
  readonly from: number
  readonly count: number
  readonly width: number
  /** first column of what is stored, where it has the part in its low or its high bits */
  readonly stored: number
  readonly high: boolean
}

/** columns of a tile that are multiplied at once: wider heads would not fit where one of them does */
const widestPart = 256

/** The parts that the columns of keys or values are read in: two of 4 bits lie in one byte, half a head apart. */
export function tileParts(format: PageFormat, columns: number, padTo: number): readonly TilePart[] {
  const rowWidth = pageWidth(format, columns)
  const parts: TilePart[] = []
  for (let from = 0; from < columns; from = (parts.at(-1) as TilePart).from + (parts.at(-1) as TilePart).count) {
    const stored = from % rowWidth
    const count = Math.min(widestPart, rowWidth - stored)
    parts.push({ from, count, width: Math.ceil(count / padTo) * padTo, stored, high: from >= rowWidth })
  }
  return parts
}

export interface PagedKeys {
  readonly layout: PageLayout
  readonly params: PageParams
  readonly pageTable: TensorParam // [rows, maxPages]
  /** row of the page table */
  readonly row: Value
  /** keys of the sequence: what lies behind them in its last page, other sequences have left there */
  readonly kLength: Value
  /** quantised pools: tiles (or keys, in pages smaller than a tile) from here on are read from the recent ones */
  readonly recentFrom: Value
  readonly kvHead: Value
  /** of what is stored as keys, and as values */
  readonly keyParts: readonly TilePart[]
  readonly valueParts: readonly TilePart[]
  readonly tileK: number
  /** dtype of the queries: quantised elements become numbers that it multiplies well with */
  readonly dtype: StorageDType
}

/** Where keys of a tile lie: scalars and ranges where a tile never leaves its page, else one of each for each key. */
interface Place {
  readonly k: Value
  /** is a key one of the sequence? */
  readonly inside: Value
  readonly page: Value
  readonly token: Value
  readonly ring: Value
}

/**
 * Tiles of keys that lie in pages. Where a page holds whole tiles, the page is looked up once for a tile and its rows follow
 * one another; else each key looks up its own.
 */
export function pagedKeys(keys: PagedKeys): KeyTiles {
  const { layout, params, pageTable, row, kLength, tileK, keyParts, valueParts } = keys
  const { pageSize, recentTokens } = layout
  const place = (kStart: Value, range: (start: Value) => Value): Place => {
    const k = pageSize % tileK === 0 ? kStart : range(kStart)
    const within = (size: number) =>
      size > 0 && size % tileK === 0 ? range(kStart.mod(size)) : range(kStart).mod(Math.max(size, 1))
    const page = load(pageTable, [row, k.div(pageSize)])
    return { k, inside: range(kStart).lt(kLength), page, token: within(pageSize), ring: within(recentTokens) }
  }
  return (kStart) => {
    const rows = place(kStart, (start) => rowRange(start, tileK))
    const stored = keyParts.map((part) => readTile(keys, params.key, 0, rows, part))
    const values = valueParts.map((part) => readTile(keys, params.value, 1, rows, part))
    // keys of latent attention begin with the values, which are read once
    const tile = { keys: layout.latent ? [...values, ...stored] : stored, values }
    if (params.scales.length === 0) return tile
    const columns = place(kStart, (start) => colRange(start, tileK))
    const [keyScale, valueScale] = [readScale(keys, 0, columns), readScale(keys, 1, columns)]
    const shared = layout.latent ? values.map(() => valueScale) : []
    return { ...tile, keyScales: [...shared, ...stored.map(() => keyScale)], valueScale }
  }
}

/**
 * A part of keys (side 0) or values (side 1) [tileK, width]; quantised ones in units of their scales. Values beyond the
 * sequence are 0: those left in a page may be infinite, and a weight of 0 does not hide that. Scores beyond it are masked.
 */
function readTile(keys: PagedKeys, tensors: readonly TensorParam[], side: 0 | 1, place: Place, part: TilePart): Value {
  const { layout, params, kvHead, dtype, row, recentFrom } = keys
  const { k, inside, page, token, ring } = place
  const where = side === 1 ? { where: inside } : {}
  const number = dtype === 'f16' ? 'f16' : 'f32'
  const tile = inSegments(layout, page, (s, at) => {
    const stored = load(
      tensors[s] as TensorParam,
      [at, token, kvHead, colRange(part.stored, part.width)],
      isQuantised(layout.format) ? {} : where,
    )
    if (layout.format === 'q8') return stored.cast(number)
    if (layout.format !== 'q4') return stored
    return (part.high ? stored.shr(4) : stored.and(15)).sub(8).cast(number)
  })
  if (!params.recent) return tile
  const recent = load(params.recent, [row, side, ring, kvHead, colRange(part.from, part.width)], where)
  return select(k.ge(recentFrom), recent.cast(tile.dtype), tile)
}

/** What the elements of each key are multiples of [1, tileK]: 1 for those that are not quantised, 0 for values beyond the sequence. */
function readScale({ layout, params, kvHead, recentFrom }: PagedKeys, side: 0 | 1, place: Place): Value {
  const { k, inside, page, token } = place
  const where = side === 1 ? { where: inside } : {}
  const scale = inSegments(layout, page, (s, at) =>
    load(params.scales[s] as TensorParam, [at, side, kvHead, token], where),
  )
  return params.recent ? select(k.ge(recentFrom), 1, scale) : scale
}

/** `read` from the segment that holds the page, with the page's number in it. */
function inSegments(layout: PageLayout, page: Value, read: (segment: number, page: Value) => Value): Value {
  const { segments, pagesPerSegment } = layout
  let value = read(segments - 1, segments > 1 ? page.sub((segments - 1) * pagesPerSegment) : page)
  for (let s = segments - 2; s >= 0; s--)
    value = select(page.lt((s + 1) * pagesPerSegment), read(s, s > 0 ? page.sub(s * pagesPerSegment) : page), value)
  return value
}
