import {
  isQuantised,
  type PageLayout,
  pageDType,
  pageWidth,
  recentWidth,
  storedKeyDim,
} from '../attention/paged/page-pool.ts'
import { type Effect, load, type ProgramBuilder, sizeOf, store, type Value } from '../tile/index.ts'
import { type Piece, quantise4, quantise8 } from './quantise-pages.ts'

/** A head of several tokens: in the pieces that are easiest to compute, or in halves. */
export interface Head {
  readonly pieces: readonly Piece[]
  halves(): readonly Piece[]
}

export interface PageWriterSpec {
  readonly layout: PageLayout
  /** of the pool's tensors */
  readonly alignment: number
}

/**
 * Declares where keys and values go, and gives a function that stores the head `kvHead` of the tokens in `rows` there: into
 * the pages that their slots name, and of quantised pools also among the recent ones where `recentSlots` says so.
 */
export function pageWriter(
  p: ProgramBuilder,
  { layout, alignment }: PageWriterSpec,
  rows: Value,
): (side: 'key' | 'value') => (kvHead: Value, head: Head, emit: (effect: Effect) => void) => void {
  const { format, pageSize, segments, pagesPerSegment, recentTokens, recentDType } = layout
  const slots = p.input('slots', 'i32', [null])
  const slot = load(slots, [rows])
  const where = rows.lt(sizeOf(slots, 0)).and(slot.ge(0))
  const [page, token] = [slot.div(pageSize), slot.mod(pageSize)]
  const each = <T>(make: (segment: number) => T) => Array.from({ length: segments }, (_, s) => make(s))
  // pages of other segments fall outside this one
  const placeIn = (s: number) => (s > 0 ? page.sub(s * pagesPerSegment) : page)
  const scales = isQuantised(format) ? each((s) => p.output(`scales${s}`, 'f32', [null, 2, null, pageSize])) : []
  const writeRecent = recentTokens > 0 ? recentWriter() : null

  function recentWriter() {
    const recentSlots = p.input('recentSlots', 'i32', [null])
    const recent = p.output('recent', recentDType, [null, 2, recentTokens, null, recentWidth(layout)], {
      alignment,
    })
    const at = load(recentSlots, [rows])
    const kept = rows.lt(sizeOf(recentSlots, 0)).and(at.ge(0))
    const [row, place] = [at.div(recentTokens), at.mod(recentTokens)]
    return (side: number, kvHead: Value, pieces: readonly Piece[], emit: (effect: Effect) => void) => {
      for (const { columns, value } of pieces)
        emit(store(recent, [row, side, place, kvHead, columns], value, { where: kept }))
    }
  }

  return (side) => {
    const width = side === 'key' ? storedKeyDim(layout) : layout.valueDim
    const sizes = [null, pageSize, null, pageWidth(format, width)]
    const pools = each((s) => p.output(`${side}${s}`, pageDType(format), sizes, { alignment }))
    const number = side === 'key' ? 0 : 1
    return (kvHead, head, emit) => {
      const write = (pieces: readonly Piece[]) => {
        for (const { columns, value } of pieces)
          pools.forEach((pool, s) => {
            emit(store(pool, [placeIn(s), token, kvHead, columns], value, { where }))
          })
      }
      if (!isQuantised(format)) return write(head.pieces)
      const pieces = format === 'q4' ? head.halves() : head.pieces
      const stored = format === 'q4' ? quantise4(pieces) : quantise8(pieces)
      write(stored.pieces)
      scales.forEach((tensor, s) => {
        emit(store(tensor, [placeIn(s), number, kvHead, token], stored.scale, { where }))
      })
      writeRecent?.(number, kvHead, pieces, emit)
    }
  }
}
