import { FoveaError } from '../../tile/index.ts'

/**
 * Which documents share a row of `length` tokens, so that none is cut: each goes, the longest first, into the fullest row that
 * still has room for it (best-fit decreasing; Ding et al., arXiv 2404.10830). Gives the indices of each row's documents in
 * ascending order. Documents longer than a row must be cut before; throws `argument` naming the first.
 */
export function packDocuments(lengths: readonly number[], length: number): readonly (readonly number[])[] {
  const long = lengths.findIndex((own) => own > length)
  if (long >= 0)
    throw new FoveaError('argument', 'packDocuments', `document ${long} has ${lengths[long]} tokens, a row ${length}`)
  const order = lengths
    .map((_, index) => index)
    .sort((a, b) => (lengths[b] as number) - (lengths[a] as number) || a - b)
  const rows: number[][] = []
  /** rows by the room that they have */
  const byRoom: number[][] = Array.from({ length: length + 1 }, () => [])
  for (const index of order) {
    const own = lengths[index] as number
    let room = own
    while (room <= length && byRoom[room]?.length === 0) room++
    let row = byRoom[room]?.pop()
    if (row === undefined) {
      row = rows.push([]) - 1
      room = length
    }
    rows[row]?.push(index)
    byRoom[room - own]?.push(row)
  }
  return rows.map((row) => row.sort((a, b) => a - b))
}
