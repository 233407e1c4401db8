import { blockMap } from '../block-map.ts'
import { splitItemFields } from './split-kv-program.ts'
import type { WorkList, WorkSpec } from './work-list.ts'

export interface SplitKvWorkSpec extends WorkSpec {
  readonly groupSize: number
  /** states per query: the keys are cut into this many shares */
  readonly splits: number
  /** first dimension of `states` is splits · stateBatch */
  readonly stateBatch: number
}

/** The work of `splitKv`: one item per tile of packed rows and split; a share without keys writes an empty state. */
export function splitKvWork(spec: SplitKvWorkSpec): WorkList {
  const { sequences, groupSize, numHeads, tileQ, tileK, splits } = spec
  const kvHeads = numHeads / groupSize
  const heads = spec.byHead ? kvHeads : 1
  const items: number[] = []
  const runs: number[] = []
  let [streamed, all] = [0, 0]
  for (const { batch, qBase, qLength, kBase, kLength } of sequences) {
    for (let kvHead = 0; kvHead < heads; kvHead++)
      for (let rowStart = 0; rowStart < qLength * groupSize; rowStart += tileQ) {
        const qFrom = Math.floor(rowStart / groupSize)
        const qTo = Math.min(Math.ceil((rowStart + tileQ) / groupSize), qLength)
        const reach: [number, number] = spec.byHead
          ? [kvHead * groupSize, (kvHead + 1) * groupSize - 1]
          : [0, Math.max(numHeads - 1, 0)]
        const map = blockMap({
          qLength,
          kLength,
          qRange: [qFrom, qTo],
          tileQ: qTo - qFrom,
          tileK,
          mask: spec.mask,
          heads: reach,
          batch,
          pattern: spec.pattern,
        })
        const shares = cutRuns(map.runs, tileK, splits)
        shares.forEach((share, split) => {
          const runFrom = runs.length / 3
          runs.push(...share)
          const state = split * spec.stateBatch + (spec.stateBatch === 1 ? 0 : batch)
          items.push(batch, kvHead, rowStart, qBase, qLength, kBase, kLength, runFrom, runs.length / 3, state)
        })
        streamed += map.density * map.kTiles
        all += map.kTiles
      }
  }
  const headsPerItem = spec.byHead ? 1 : kvHeads
  return {
    items: Int32Array.from(items),
    itemCount: items.length / splitItemFields.length,
    runs: Int32Array.from(runs),
    headsPerItem,
    tiles: streamed * headsPerItem,
    density: all === 0 ? 0 : streamed / all,
  }
}

/** Cuts runs into `count` consecutive shares of nearly as many tiles each. */
function cutRuns(runs: Int32Array, tileK: number, count: number): number[][] {
  let tiles = 0
  for (let at = 0; at < runs.length; at += 3) tiles += ((runs[at + 1] as number) - (runs[at] as number)) / tileK
  const shares: number[][] = Array.from({ length: count }, () => [])
  let done = 0
  for (let at = 0; at < runs.length; at += 3) {
    let [from, to, full] = [runs[at] as number, runs[at + 1] as number, runs[at + 2] as number]
    while (from < to) {
      const share = Math.min(Math.floor((done * count) / tiles), count - 1)
      // the first tile of the next share
      const limit = Math.ceil(((share + 1) * tiles) / count)
      const end = Math.min(to, from + (limit - done) * tileK)
      ;(shares[share] as number[]).push(from, end, full)
      done += (end - from) / tileK
      from = end
    }
  }
  return shares
}
