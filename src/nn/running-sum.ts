import { full, type Value, zeros } from '../tile/index.ts'

/** Of the numbers of a row so far: their maximum m [1, 1], and Σ exp(x − m), lane by lane [1, tile]. */
export type RunningSum = Readonly<Record<'m' | 'l', Value>>

/** the lowest finite f32 */
const lowest = -3.4028234663852886e38

/** Of no numbers. The start is finite: −∞ − −∞ is no number. */
export function emptySum(tile: number): RunningSum {
  return { m: full([1, 1], lowest), l: zeros([1, tile]) }
}

/** Joined by a tile of numbers [1, tile], the sums rescaled where the maximum grows (Milakov and Gimelshein, arXiv 1805.02867). */
export function joinSum(sum: RunningSum, x: Value): RunningSum {
  const m = sum.m.max(x.rowMax()) //                                         [1, 1]
  return { m, l: sum.l.mul(sum.m.sub(m).exp()).add(x.sub(m).exp()) }
}
