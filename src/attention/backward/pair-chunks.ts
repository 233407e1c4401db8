import type { Sequence } from '../sequences.ts'
import { itemFields } from '../softmax/flash-program.ts'
import type { WorkList } from '../softmax/work-list.ts'

/** Some query rows of some heads of one sequence, and the items of the ordered work list that compute them. */
export interface Chunk {
  readonly sequence: Sequence
  readonly headFrom: number
  readonly headTo: number
  readonly qFrom: number
  readonly qTo: number
  readonly firstItem: number
  readonly itemCount: number
  /** grid along y, counted from head `firstHead` on */
  readonly headsPerItem: number
  readonly firstHead: number
}

/** Items by sequence, head and place, where a work list has the heaviest first. */
export function orderedItems(items: Int32Array): Int32Array {
  const width = itemFields.length
  const rows = Array.from({ length: items.length / width }, (_, at) => items.subarray(at * width, (at + 1) * width))
  const fields = (['batch', 'head', 'qStart'] as const).map((name) => itemFields.indexOf(name))
  rows.sort((a, b) => {
    for (const field of fields) if (a[field] !== b[field]) return (a[field] as number) - (b[field] as number)
    return 0
  })
  const ordered = new Int32Array(items.length)
  rows.forEach((row, at) => {
    ordered.set(row, at * width)
  })
  return ordered
}

/**
 * All pairs in chunks of about `budget` numbers, and the sizes [heads, queries, keys] that hold any of them: rows of one head,
 * or several whole heads where they are short.
 */
export function chunksOf(
  { headsPerItem }: WorkList,
  sequences: readonly Sequence[],
  numHeads: number,
  tileQ: number,
  budget: number,
): { chunks: Chunk[]; size: [number, number, number] } {
  const longest = (of: (sequence: Sequence) => number) =>
    sequences.reduce((most, sequence) => Math.max(most, of(sequence)), 1)
  const keys = longest(({ kLength }) => kLength)
  const allRows = Math.ceil(longest(({ qLength }) => qLength) / tileQ) * tileQ
  const affordable = Math.max(Math.floor(budget / keys), tileQ)
  const rows = Math.min(allRows, Math.floor(affordable / tileQ) * tileQ)
  const heads = rows === allRows ? Math.min(numHeads, Math.max(Math.floor(affordable / rows), 1)) : 1
  // an item serves all heads, or one
  const shared = headsPerItem > 1 || numHeads === 1
  const chunks: Chunk[] = []
  let first = 0
  for (const sequence of sequences) {
    const { qLength, kLength } = sequence
    const tiles = Math.ceil(qLength / tileQ)
    if (kLength > 0)
      for (let headFrom = 0; headFrom < numHeads; headFrom += heads)
        for (let qFrom = 0; qFrom < qLength; qFrom += rows) {
          const headTo = Math.min(headFrom + heads, numHeads)
          const qTo = Math.min(qFrom + rows, qLength)
          const inHead = Math.ceil((qTo - qFrom) / tileQ)
          const at = first + qFrom / tileQ
          const range = { sequence, headFrom, headTo, qFrom, qTo }
          const own = shared
            ? { firstItem: at, itemCount: inHead, headsPerItem: headTo - headFrom, firstHead: headFrom }
            : {
                firstItem: at + headFrom * tiles,
                itemCount: inHead * (headTo - headFrom),
                headsPerItem: 1,
                firstHead: 0,
              }
          chunks.push({ ...range, ...own })
        }
    first += tiles * (shared ? 1 : numHeads)
  }
  return { chunks, size: [heads, rows, keys] }
}
