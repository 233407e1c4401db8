import { exp, full, max, rowMax, rowSum, select, type Value, zeros } from '../../tile/index.ts'
import type { Normalizer } from './normalizer.ts'

/** below this maximum every weight is 0 in f32, and e^(−m) would overflow */
const floor = -80
const epsilon = 1e-6

/**
 * p = relu(eˢ − 1) / (Σ|eˢ − 1| + 1e-6) (Zuhri, Fuadi and Aji, "Softpick", 2025, arXiv 2504.20966, algorithm 1), both
 * stabilised by the row maximum m: e^(s−m) − e^(−m); the 1e-6 joins the stabilised sum. `lse` is m + log of that sum. A
 * sink adds |e^sink − 1| to the sum.
 */
export const softpick: Normalizer = {
  name: 'softpick',
  units: 'natural',
  split: null,
  init: (tileQ) => ({ m: full([tileQ, 1], floor), l: zeros([tileQ, 1]) }),
  step: ({ m, l }, s) => {
    const mNew = max(m as Value, rowMax(s)) //                        [tileQ, 1]
    const alpha = exp((m as Value).sub(mNew))
    const lifted = exp(s.sub(mNew)).sub(exp(mNew.neg())) //           [tileQ, tileK]
    const masked = s.eq(Number.NEGATIVE_INFINITY)
    const sum = rowSum(select(masked, 0, lifted.abs()))
    return { state: { m: mNew, l: (l as Value).mul(alpha).add(sum) }, p: select(masked, 0, lifted.max(0)), alpha }
  },
  finish: ({ m, l }, sink) => {
    let [top, sum] = [m as Value, l as Value]
    let scale: Value | number = 1
    if (sink) {
      const joined = max(top, sink)
      scale = exp(top.sub(joined))
      sum = sum.mul(scale).add(exp(sink.sub(joined)).sub(exp(joined.neg())).abs())
      top = joined
    }
    const total = sum.add(epsilon)
    const lse = select(sum.eq(0), Number.NEGATIVE_INFINITY, top.add(total.log()))
    return { scale: total.reciprocal().mul(scale), lse }
  },
  resume: (lse, sink) => {
    const m = select(lse.eq(Number.NEGATIVE_INFINITY), 0, lse)
    // relative to lse the whole sum is 1: what the 1e-6 and the sink took is not l's
    const rest = full([1, 1], 1 - epsilon)
    return { m, l: sink ? rest.sub(exp(sink.sub(m)).sub(exp(m.neg())).abs()) : rest }
  },
}
