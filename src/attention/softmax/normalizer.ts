import { exp2, full, max, rowMax, rowSum, select, type Value, zeros } from '../../tile/index.ts'

/** Row vectors [tileQ, 1] that a normaliser carries from one key tile to the next. */
export type RowState = Readonly<Record<string, Value>>

/**
 * How scores become weights: output = Σ p·v · scale, where the sum runs over key tiles and earlier tiles are multiplied by
 * `alpha` whenever the state's stabiliser moves. A hook: users may write another.
 */
export interface Normalizer {
  readonly name: string
  /** what `step` is given: scores times log2 e, or scores as they are */
  readonly units: 'log2' | 'natural'
  init(tileQ: number): RowState
  /** one tile of scores [tileQ, tileK], −∞ where masked: the new state, the weights, and the factor for what was summed before */
  step(state: RowState, s: Value): { state: RowState; p: Value; alpha: Value | null }
  /** after the last tile; `sink` [tileQ, 1] is an extra logit (natural units) that takes weight and gives no value */
  finish(state: RowState, sink: Value | null): { scale: Value | null; lse: Value }
}

const log2e = Math.LOG2E
const ln2 = Math.LN2
/** the running maximum may lag by this much (log2 units) before sums are rescaled: p stays below 256 */
const lag = 8

/**
 * p = softmax(s), online (Milakov and Gimelshein, arXiv 1805.02867), with a lazily updated maximum. A row with nothing to
 * attend to has scale 0 and lse −∞.
 */
export const softmax: Normalizer = {
  name: 'softmax',
  units: 'log2',
  init: (tileQ) => ({ m: full([tileQ, 1], Number.NEGATIVE_INFINITY), l: zeros([tileQ, 1]) }),
  step: ({ m, l }, s) => {
    const top = rowMax(s) //                                          [tileQ, 1]
    const mNew = select(top.gt((m as Value).add(lag)), top, m as Value)
    // −∞ − −∞ is NaN: a row that has seen no key yet is stabilised by 0
    const stable = select(mNew.eq(Number.NEGATIVE_INFINITY), 0, mNew)
    const alpha = exp2((m as Value).sub(stable))
    const p = exp2(s.sub(stable)) //                                  [tileQ, tileK]
    return { state: { m: mNew, l: (l as Value).mul(alpha).add(rowSum(p)) }, p, alpha }
  },
  finish: ({ m, l }, sink) => {
    let [top, sum] = [m as Value, l as Value]
    if (sink) {
      const logit = sink.mul(log2e)
      const joined = max(top, logit)
      sum = sum.mul(exp2(top.sub(joined))).add(exp2(logit.sub(joined)))
      // p·v was summed relative to m: its factor moves to the scale
      return { scale: exp2(top.sub(joined)).div(sum), lse: joined.mul(ln2).add(sum.log()) }
    }
    return { scale: select(sum.gt(0), sum.reciprocal(), 0), lse: select(sum.gt(0), top.mul(ln2).add(sum.log()), Number.NEGATIVE_INFINITY) }
  },
}
