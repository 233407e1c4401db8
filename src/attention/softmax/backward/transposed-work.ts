import type { IntervalReading } from '../../../tile/index.ts'
import { blockMap } from '../../block-map.ts'
import type { BlockPattern } from '../../block-mask.ts'
import { heaviestFirst, RunStore, type WorkSpec } from '../work-list.ts'
import { joinWork, runFields, type WorkTable } from './work-table.ts'

/**
 * Which query tiles each tile of keys meets: one item per key tile of a key head, and runs of query tiles for each query
 * head of its group, one head after the other. A run is full where every pair is allowed and no query hangs over the end.
 * The heaviest items first. `numHeads` counts query heads.
 */
export function transposedWork(spec: WorkSpec & { readonly groupSize: number }): WorkTable {
  const { sequences, tileQ, tileK, numHeads, groupSize, pattern, mask } = spec
  const byHead = spec.byHead || (pattern !== null && pattern.heads > 1)
  const byBatch = spec.byBatch || (pattern !== null && pattern.batch > 1)
  const numKvHeads = numHeads / groupSize
  const runs = new RunStore(runFields.length)
  const maps = new Map<string, { bounds: Int32Array; costs: Int32Array }>()
  const rows: number[] = []
  const costs: number[] = []

  /** runs of all key tiles of one key head: where those of each tile begin, and how many tiles they take */
  const mapOf = (kvHead: number, batch: number, qLength: number, kLength: number) => {
    const members = Array.from({ length: byHead ? groupSize : 1 }, (_, member) => {
      const head = kvHead * groupSize + member
      return blockMap({
        // queries and keys exchanged
        qLength: kLength,
        kLength: qLength,
        tileQ: tileK,
        tileK: tileQ,
        mask: mask && exchangeReading(mask),
        heads: byHead ? [head, head] : [0, Math.max(numHeads - 1, 0)],
        batch,
        pattern: pattern && exchangePattern(pattern),
      })
    })
    const kTiles = members[0]?.qTiles ?? 0
    const bounds = new Int32Array(kTiles + 1)
    const tileCosts = new Int32Array(kTiles)
    for (let tile = 0; tile < kTiles; tile++) {
      bounds[tile] = runs.count
      for (let member = 0; member < groupSize; member++) {
        const { rowStart, runs: found } = members[byHead ? member : 0] as (typeof members)[number]
        for (let run = rowStart[tile] as number; run < (rowStart[tile + 1] as number); run++) {
          const [from, to, full] = found.subarray(run * 3, run * 3 + 3) as unknown as [number, number, number]
          runs.append(Int32Array.of(from, to, full, member))
          tileCosts[tile]! += (to - from) / tileQ
        }
      }
    }
    bounds[kTiles] = runs.count
    return { bounds, costs: tileCosts }
  }

  let tiles = 0
  for (const { batch, qBase, qLength, kBase, kLength } of sequences)
    for (let kvHead = 0; kvHead < (byHead ? numKvHeads : 1); kvHead++) {
      const key = `${qLength} ${kLength} ${byHead ? kvHead : 0} ${byBatch ? batch : 0}`
      let map = maps.get(key)
      if (!map) {
        map = mapOf(kvHead, batch, qLength, kLength)
        maps.set(key, map)
      }
      map.costs.forEach((cost, tile) => {
        const [from, to] = [map.bounds[tile] as number, map.bounds[tile + 1] as number]
        rows.push(batch, kvHead, tile * tileK, qBase, qLength, kBase, kLength, from, to)
        costs.push(cost)
        tiles += cost
      })
    }
  const headsPerItem = byHead ? 1 : numKvHeads
  return {
    table: joinWork(heaviestFirst(rows, costs), runs.take(), runFields.length),
    itemCount: costs.length,
    headsPerItem,
    tiles: tiles * headsPerItem,
  }
}

/** A reading of the mask whose box names keys where it named queries. */
function exchangeReading(mask: IntervalReading): IntervalReading {
  const box = new Float64Array(12)
  return {
    uses: mask.uses,
    evaluate(bounds) {
      // q, k, head, batch, qLength, kLength: a lower and an upper bound each
      for (const [to, from] of exchangedBounds) box[to] = bounds[from] as number
      return mask.evaluate(box)
    },
  }
}

const exchangedBounds = [2, 3, 0, 1, 4, 5, 6, 7, 10, 11, 8, 9].map((from, to) => [to, from] as const)

function exchangePattern(pattern: BlockPattern): BlockPattern {
  return {
    ...pattern,
    region: (batch, head, kFrom, kTo, qFrom, qTo) => pattern.region(batch, head, qFrom, qTo, kFrom, kTo),
  }
}
