import { checkFields, type FieldsOf, type IntervalReading } from '../tile/index.ts'
import type { BlockPattern } from './block-mask.ts'

export interface BlockMapSpec {
  readonly qLength: number
  readonly kLength: number
  /** the queries to map, all by default; tiles count from the first */
  readonly qRange?: readonly [from: number, to: number]
  readonly tileQ: number
  readonly tileK: number
  /** the mask over intervals of q, k, head, batch, qLength, kLength; null allows all */
  readonly mask: IntervalReading | null
  /** heads that share the map: first and last */
  readonly heads: readonly [number, number]
  readonly batch: number
  /** the caller's pattern; `heads` is then one head, or all when the pattern is shared */
  readonly pattern?: BlockPattern | null
}

/** Which key tiles each query tile streams. Tiles that the mask empties are in no run. */
export interface BlockMap {
  readonly tileQ: number
  readonly tileK: number
  readonly qTiles: number
  readonly kTiles: number
  /** query tile i has the runs rowStart[i] … rowStart[i + 1] − 1 */
  readonly rowStart: Int32Array
  /** kFrom, kTo, full of each run: keys in multiples of tileK, ascending; full = 1 when every pair is allowed */
  readonly runs: Int32Array
  /** share of tiles that are streamed, and that are streamed without asking the mask */
  readonly density: number
  readonly fullDensity: number
}

/**
 * Classifies the tiles of a mask as full, partial or empty without evaluating it per element: large rectangles first, and
 * only the partial ones in halves. A partial tile may be empty or full in truth, never the reverse. Takes time in
 * proportion to the boundary of the mask.
 */
export function blockMap(spec: BlockMapSpec): BlockMap {
  checkFields('blockMap', 'spec', spec, fields)
  const { qLength, kLength, tileQ, tileK, mask, pattern } = spec
  const [qFirst, qEnd] = spec.qRange ?? [0, qLength]
  const qTiles = Math.ceil((qEnd - qFirst) / tileQ)
  const kTiles = Math.ceil(kLength / tileK)
  const wholeTiles = Math.floor(kLength / tileK)
  const rows: number[][] = Array.from({ length: qTiles }, () => [])
  const [firstHead, lastHead] = spec.heads
  const { batch } = spec
  const box = new Float64Array([0, 0, 0, 0, firstHead, lastHead, batch, batch, qLength, qLength, kLength, kLength])

  /** 0 empty, 1 partial, 2 full */
  const classify = (q0: number, q1: number, k0: number, k1: number): 0 | 1 | 2 => {
    const qFrom = qFirst + q0 * tileQ
    const [qTo, kTo] = [Math.min(qFirst + q1 * tileQ, qEnd), Math.min(k1 * tileK, kLength)]
    const cell = pattern ? pattern.region(batch, firstHead, qFrom, qTo, k0 * tileK, kTo) : 1
    if (cell === 0 || cell === 2) return cell
    if (!mask) return cell === null ? 1 : 2
    box[0] = qFrom
    box[1] = qTo - 1
    box[2] = k0 * tileK
    box[3] = kTo - 1
    const { lo, hi } = mask.evaluate(box)
    // blocks that differ, of which some may not ask the mask
    if (cell === null) return 1
    return hi === 0 ? 0 : lo === 1 ? 2 : 1
  }
  const append = (q0: number, q1: number, k0: number, k1: number, full: number) => {
    for (let q = q0; q < q1; q++) {
      const row = rows[q] as number[]
      const last = row.length - 3
      if (last >= 0 && row[last + 1] === k0 * tileK && row[last + 2] === full) row[last + 1] = k1 * tileK
      else row.push(k0 * tileK, k1 * tileK, full)
    }
  }
  const visit = (q0: number, q1: number, k0: number, k1: number) => {
    const kind = classify(q0, q1, k0, k1)
    if (kind === 0) return
    if (kind === 2) {
      // the last tile hangs over the end of the keys
      const whole = Math.min(k1, wholeTiles)
      if (whole > k0) append(q0, q1, k0, whole, 1)
      if (k1 > whole) append(q0, q1, Math.max(k0, whole), k1, 0)
    } else if (q1 - q0 === 1 && k1 - k0 === 1) {
      append(q0, q1, k0, k1, 0)
    } else if (k1 - k0 >= q1 - q0) {
      const middle = (k0 + k1) >> 1
      visit(q0, q1, k0, middle)
      visit(q0, q1, middle, k1)
    } else {
      const middle = (q0 + q1) >> 1
      visit(q0, middle, k0, k1)
      visit(middle, q1, k0, k1)
    }
  }
  if (qTiles > 0 && kTiles > 0) visit(0, qTiles, 0, kTiles)
  return collect(spec, rows, qTiles, kTiles)
}

function collect({ tileQ, tileK }: BlockMapSpec, rows: number[][], qTiles: number, kTiles: number): BlockMap {
  const rowStart = new Int32Array(qTiles + 1)
  rows.forEach((row, i) => {
    rowStart[i + 1] = (rowStart[i] as number) + row.length / 3
  })
  const runs = new Int32Array((rowStart[qTiles] as number) * 3)
  let [streamed, full] = [0, 0]
  rows.forEach((row, i) => {
    const at = (rowStart[i] as number) * 3
    for (let j = 0; j < row.length; j += 3) {
      const tiles = ((row[j + 1] as number) - (row[j] as number)) / tileK
      streamed += tiles
      if (row[j + 2]) full += tiles
      runs[at + j] = row[j] as number
      runs[at + j + 1] = row[j + 1] as number
      runs[at + j + 2] = row[j + 2] as number
    }
  })
  const all = Math.max(qTiles * kTiles, 1)
  return { tileQ, tileK, qTiles, kTiles, rowStart, runs, density: streamed / all, fullDensity: full / all }
}

const fields: FieldsOf<BlockMapSpec> = {
  qLength: true,
  kLength: true,
  qRange: true,
  tileQ: true,
  tileK: true,
  mask: true,
  heads: true,
  batch: true,
  pattern: true,
}
