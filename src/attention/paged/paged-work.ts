import { checkFields, type FieldsOf, FoveaError } from '../../tile/index.ts'

/** columns of `work` before its runs: one row per program; `rowStart` counts rows of the tile, `runs` the runs that follow */
export const pagedFields = ['row', 'rowStart', 'qBase', 'qLength', 'kLength', 'recentFrom', 'split', 'runs'] as const

/** runs of key tiles that an item has at most: sinks (whole, cut), a window's edge, whole tiles, the causal edge */
export const maxRuns = 5

/** numbers in a row of `work`: the fields, then `maxRuns` times the first key, the last key + 1, and 1 where no mask is asked */
export const workWidth = pagedFields.length + 3 * maxRuns

/** The queries of one sequence in a step: rows qBase … qBase + qLength − 1 of `query`, at the end of its kLength keys. */
export interface PagedSequence {
  /** of the page table */
  readonly row: number
  readonly qBase: number
  readonly qLength: number
  readonly kLength: number
  /** quantised pools: keys from here on are read unquantised (`recentFrom`); a multiple of the tile of keys */
  readonly recentFrom?: number
}

export interface PagedWorkSpec {
  readonly sequences: readonly PagedSequence[]
  /** a query sees its own and the window − 1 keys before it, and the first `sinks` (0); null: all before it */
  readonly window?: number | null
  readonly sinks?: number
  /** of these, a query at q sees key k only where ⌊k / chunk⌋ = ⌊q / chunk⌋; null for no chunks */
  readonly chunk?: number | null
  readonly tileQ: number
  readonly tileK: number
  /** rows of a tile that a query takes: the query heads of a key/value head where they are packed, else 1 */
  readonly rowsPerQuery: number
  /** shares that the keys of each tile of rows are cut into; 1 writes the output at once */
  readonly splits: number
  /** rows of the result; what is left over are empty items */
  readonly capacity: number
}

/**
 * The work of `pagedAttention`, as data: which rows and which runs of key tiles each program of its grid takes. The
 * heaviest first; a share without keys still writes its empty state; items beyond the last write nothing. In closed form,
 * a few operations for each item. Throws `capacity` when there are more items than rows, `argument` for sequences with more
 * queries than keys.
 */
export function planPagedWork(spec: PagedWorkSpec): { work: Int32Array; items: number } {
  checkFields('planPagedWork', 'spec', spec, pagedWorkSpecFields)
  const { sequences, tileQ, tileK, rowsPerQuery, splits, capacity, window, chunk } = spec
  for (const [name, count] of Object.entries({ window, chunk }))
    if (typeof count === 'number' && (!Number.isInteger(count) || count < 1))
      throw new FoveaError('argument', 'planPagedWork', `${name} must be a whole number ≥ 1 or null, got ${count}`)
  const items: { readonly fields: readonly number[]; readonly runs: readonly number[]; readonly tiles: number }[] = []
  for (const { row, qBase, qLength, kLength, recentFrom = kLength } of sequences) {
    if (qLength > kLength)
      throw new FoveaError('argument', 'planPagedWork', `${qLength} queries over ${kLength} keys (row ${row})`)
    for (let rowStart = 0; rowStart < qLength * rowsPerQuery; rowStart += tileQ) {
      const first = kLength - qLength + Math.floor(rowStart / rowsPerQuery)
      const last = kLength - qLength + Math.min(qLength, Math.ceil((rowStart + tileQ) / rowsPerQuery)) - 1
      const runs = keyRuns(first, last, spec)
      const tiles = countTiles(runs)
      for (let split = 0; split < splits; split++) {
        const [from, to] = [Math.floor((split * tiles) / splits), Math.floor(((split + 1) * tiles) / splits)]
        const share = splits === 1 ? runs : cutTiles(runs, from, to)
        const fields = [row, rowStart, qBase, qLength, kLength, recentFrom, split, share.length / 3]
        items.push({ fields, runs: share.map((x, i) => (i % 3 === 2 ? x : x * tileK)), tiles: to - from })
      }
    }
  }
  if (items.length > capacity)
    throw new FoveaError('capacity', 'planPagedWork', `${items.length} items, there is room for ${capacity}`)
  items.sort((x, y) => y.tiles - x.tiles)
  const work = new Int32Array(capacity * workWidth)
  items.forEach(({ fields, runs }, i) => {
    work.set(fields, i * workWidth)
    work.set(runs, i * workWidth + pagedFields.length)
  })
  return { work, items: items.length }
}

/** Items that any step has at most: of `tokens` queries of up to `sequences` sequences. */
export function pagedWorkCapacity(spec: {
  readonly tokens: number
  readonly sequences: number
  readonly tileQ: number
  readonly rowsPerQuery: number
  readonly splits: number
}): number {
  checkFields('pagedWorkCapacity', 'spec', spec, pagedWorkCapacityFields)
  const { tokens, tileQ, rowsPerQuery, splits } = spec
  const sequences = Math.min(spec.sequences, tokens)
  // each sequence has a first tile; what goes beyond first tiles fills whole ones
  const whole = Math.floor(Math.max(0, tokens * rowsPerQuery - sequences) / tileQ)
  return (sequences + whole) * splits
}

/** The tiles that queries at `first` … `last` see, as runs [from, to, full] in tiles, in order. */
function keyRuns(first: number, last: number, { window, sinks = 0, chunk, tileK }: PagedWorkSpec): number[] {
  const end = Math.floor(last / tileK) + 1
  // tiles that lie before every query
  const before = Math.floor((first + 1) / tileK)
  const runs: number[] = []
  const push = (from: number, to: number, full: number) => {
    if (from < to) runs.push(from, to, full)
  }
  const chunkStart = (q: number) => (chunk ? q - (q % chunk) : 0)
  const windowStart = (q: number) => Math.max(chunkStart(q), window ? q - window + 1 : 0)
  const start = Math.floor(windowStart(first) / tileK)
  if (window && sinks > chunkStart(first)) {
    const sinkStart = Math.min(Math.floor(chunkStart(first) / tileK), start)
    const sinkEnd = Math.min(Math.ceil(sinks / tileK), start)
    // where a chunk begins among the sinks, all of them are masked
    const sinkFull = chunkStart(last) > 0 ? sinkStart : Math.min(Math.floor(sinks / tileK), before, sinkEnd)
    push(sinkStart, sinkFull, 1)
    push(sinkFull, sinkEnd, 0)
  }
  // tiles that begin inside every query's window
  const inside = Math.min(Math.max(Math.ceil(windowStart(last) / tileK), start), end)
  const whole = Math.min(Math.max(before, inside), end)
  push(start, inside, 0)
  push(inside, whole, 1)
  push(whole, end, 0)
  return runs
}

function countTiles(runs: readonly number[]): number {
  let tiles = 0
  for (let at = 0; at < runs.length; at += 3) tiles += (runs[at + 1] as number) - (runs[at] as number)
  return tiles
}

/** Tiles from … to − 1 of the runs, counted from the first run's first. */
function cutTiles(runs: readonly number[], from: number, to: number): number[] {
  const cut: number[] = []
  let done = 0
  for (let at = 0; at < runs.length; at += 3) {
    const [start, end] = [runs[at] as number, runs[at + 1] as number]
    const low = Math.max(start, start + from - done)
    const high = Math.min(end, start + to - done)
    if (low < high) cut.push(low, high, runs[at + 2] as number)
    done += end - start
  }
  return cut
}

const pagedWorkCapacityFields: FieldsOf<Parameters<typeof pagedWorkCapacity>[0]> = {
  tokens: true,
  sequences: true,
  tileQ: true,
  rowsPerQuery: true,
  splits: true,
}

const pagedWorkSpecFields: FieldsOf<PagedWorkSpec> = {
  sequences: true,
  window: true,
  sinks: true,
  chunk: true,
  tileQ: true,
  tileK: true,
  rowsPerQuery: true,
  splits: true,
  capacity: true,
}
