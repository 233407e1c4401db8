import type { IntervalReading } from '../../tile/index.ts'
import type { BlockMap } from '../block-map.ts'
import { blockMap } from '../block-map.ts'
import type { BlockPattern } from '../block-mask.ts'
import type { Sequence } from '../sequences.ts'
import { itemFields } from './flash-program.ts'

/** What the work of a call is made of. */
export interface WorkSpec {
  readonly sequences: readonly Sequence[]
  readonly numHeads: number
  readonly tileQ: number
  readonly tileK: number
  readonly mask: IntervalReading | null
  /** does the mask read the head, or the batch? */
  readonly byHead: boolean
  readonly byBatch: boolean
  readonly pattern: BlockPattern | null
}

/**
 * Which key tiles each program streams, as data: one row of `items` per program, `runs` of key tiles that items point
 * into. A changed length, packing or sparsity changes only these numbers; they take tokens / tileQ × runs, never tokens².
 */
export interface WorkList {
  readonly items: Int32Array
  readonly itemCount: number
  readonly runs: Int32Array
  /** grid along y: heads that share each item */
  readonly headsPerItem: number
  /** tiles streamed by all programs together, and the share of all tiles that they are */
  readonly tiles: number
  readonly density: number
}

/** The work of `flash`: one item per query tile (and head, when the mask reads the head), the heaviest first. */
export function flashWork(spec: WorkSpec): WorkList {
  const { sequences, tileQ, tileK, numHeads } = spec
  const byHead = spec.byHead || (spec.pattern !== null && spec.pattern.heads > 1)
  const byBatch = spec.byBatch || (spec.pattern !== null && spec.pattern.batch > 1)
  const heads = byHead ? numHeads : 1
  const runs = new RunStore(3)
  const maps = new Map<string, { map: BlockMap; base: number }>()
  const rows: number[] = []
  const costs: number[] = []
  let [streamed, all] = [0, 0]
  for (const { batch, qBase, qLength, kBase, kLength } of sequences) {
    if (qLength === 0) continue
    for (let head = 0; head < heads; head++) {
      const key = `${qLength} ${kLength} ${byHead ? head : 0} ${byBatch ? batch : 0}`
      let known = maps.get(key)
      if (!known) {
        const reach: [number, number] = byHead ? [head, head] : [0, Math.max(numHeads - 1, 0)]
        const { mask, pattern } = spec
        const map = blockMap({ qLength, kLength, tileQ, tileK, mask, heads: reach, batch, pattern })
        known = { map, base: runs.append(map.runs) }
        maps.set(key, known)
      }
      const { map, base } = known
      for (let tile = 0; tile < map.qTiles; tile++) {
        const [from, to] = [map.rowStart[tile] as number, map.rowStart[tile + 1] as number]
        rows.push(batch, head, tile * tileQ, qBase, qLength, kBase, kLength, base + from, base + to)
        let tiles = 0
        for (let run = from; run < to; run++)
          tiles += ((map.runs[run * 3 + 1] as number) - (map.runs[run * 3] as number)) / tileK
        costs.push(tiles)
        streamed += tiles
      }
      all += map.qTiles * map.kTiles
    }
  }
  const headsPerItem = byHead ? 1 : numHeads
  return {
    items: heaviestFirst(rows, costs),
    itemCount: costs.length,
    runs: runs.take(),
    headsPerItem,
    tiles: streamed * headsPerItem,
    density: all === 0 ? 0 : streamed / all,
  }
}

/** Runs of all maps, one after the other; each takes `width` integers. */
export class RunStore {
  #data = new Int32Array(64)
  #length = 0
  readonly #width: number

  constructor(width: number) {
    this.#width = width
  }

  get count(): number {
    return this.#length / this.#width
  }

  /** the number of the first of these runs */
  append(runs: Int32Array): number {
    const first = this.count
    if (this.#length + runs.length > this.#data.length) {
      const grown = new Int32Array(2 * (this.#length + runs.length))
      grown.set(this.#data.subarray(0, this.#length))
      this.#data = grown
    }
    this.#data.set(runs, this.#length)
    this.#length += runs.length
    return first
  }

  take(): Int32Array {
    return this.#data.slice(0, this.#length)
  }
}

/** Rows of `items` in order of falling cost: the long ones do not start last. */
export function heaviestFirst(rows: readonly number[], costs: readonly number[]): Int32Array {
  const width = itemFields.length
  const count = costs.length
  // cost and place in one number: a plain numeric sort, stable
  const order = Float64Array.from(costs, (cost, i) => cost * count + (count - 1 - i)).sort()
  const items = new Int32Array(rows.length)
  for (let at = 0; at < count; at++) {
    const row = count - 1 - ((order[count - 1 - at] as number) % count)
    for (let field = 0; field < width; field++) items[at * width + field] = rows[row * width + field] as number
  }
  return items
}
