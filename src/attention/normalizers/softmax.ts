import { exp, exp2, full, max, rowMax, rowSum, select, type Value, zeros } from '../../tile/index.ts'
import type { Normalizer } from './normalizer.ts'

const log2e = Math.LOG2E
const ln2 = Math.LN2
/** the running maximum may lag by this much (log2 units) before sums are rescaled: p stays below 256 */
const lag = 8

/**
 * p = softmax(s), online (Milakov and Gimelshein, arXiv 1805.02867), with a lazily updated maximum. A row with nothing to
 * attend to has scale 0 and lse −∞; one with a score of NaN or +∞ has NaN in both.
 */
export const softmax: Normalizer = {
  name: 'softmax',
  units: 'log2',
  split: ({ m, l }) => ({ m: m as Value, l: l as Value }),
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
    return {
      scale: select(sum.eq(0), 0, sum.reciprocal()),
      lse: select(sum.eq(0), Number.NEGATIVE_INFINITY, top.mul(ln2).add(sum.log())),
    }
  },
  resume: (lse, sink) => {
    const m = select(lse.eq(Number.NEGATIVE_INFINITY), 0, lse.mul(log2e))
    // weights relative to lse sum to 1, together with the sink's
    return { m, l: sink ? full([1, 1], 1).sub(exp(sink.sub(lse))) : full([1, 1], 1) }
  },
}
