import type { MergeTable } from './merge-table.ts'

/** merges between two chances for others to run */
const stride = 4096
/** a rank and a place are one number, so that the heap holds plain numbers: 2^26 symbols, 2^27 ranks */
const placeSpan = 2 ** 26

/**
 * Byte-pair encoding of one piece (Sennrich et al., 2016): the neighbours of the lowest rank are merged, of equal ones the
 * leftmost, until none are left that merge. A heap of candidates: n log n for n symbols. Yields now and then.
 */
export function* mergeSymbols(symbols: Int32Array, table: MergeTable): Generator<undefined, number[], undefined> {
  const length = symbols.length
  const next = new Int32Array(length).map((_, i) => (i + 1 < length ? i + 1 : -1))
  const before = new Int32Array(length).map((_, i) => i - 1)
  const heap: number[] = []
  const offer = (at: number) => {
    const right = at < 0 ? -1 : (next[at] as number)
    if (right < 0) return
    const rank = table.rank(symbols[at] as number, symbols[right] as number)
    if (rank >= 0) push(heap, rank * placeSpan + at)
  }
  for (let i = 0; i < length; i++) {
    offer(i)
    if (i % stride === stride - 1) yield
  }
  for (let count = 1; heap.length > 0; count++) {
    if (count % stride === 0) yield
    const key = pop(heap)
    const at = key % placeSpan
    const right = next[at] as number
    // the two may have been merged with others meanwhile
    if (symbols[at] === -1 || right < 0) continue
    const [left, other] = [symbols[at] as number, symbols[right] as number]
    if (table.rank(left, other) * placeSpan + at !== key) continue
    symbols[at] = table.merged(left, other)
    symbols[right] = -1
    const after = next[right] as number
    next[at] = after
    if (after >= 0) before[after] = at
    offer(before[at] as number)
    offer(at)
  }
  return Array.from(symbols.filter((symbol) => symbol !== -1))
}

function push(heap: number[], key: number): void {
  let at = heap.push(key) - 1
  while (at > 0) {
    const parent = (at - 1) >> 1
    if ((heap[parent] as number) <= key) break
    heap[at] = heap[parent] as number
    at = parent
  }
  heap[at] = key
}

function pop(heap: number[]): number {
  const top = heap[0] as number
  const last = heap.pop() as number
  if (heap.length === 0) return top
  let at = 0
  for (let child = 1; child < heap.length; child = at * 2 + 1) {
    if (child + 1 < heap.length && (heap[child + 1] as number) < (heap[child] as number)) child++
    if ((heap[child] as number) >= last) break
    heap[at] = heap[child] as number
    at = child
  }
  heap[at] = last
  return top
}
