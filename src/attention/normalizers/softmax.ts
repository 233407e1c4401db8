import { exp, exp2, full, max, rowMax, rowSum, select, type Value, zeros } from '../../tile/index.ts'
import type { Normalizer } from './normalizer.ts'

const log2e = Math.LOG2E
const ln2 = Math.LN2
/** the running maximum may lag by this much (log2 units) before sums are rescaled: p stays below 256 */
const lag = 8

/**
 * Softmax of scores times log2 e, or of scores as they are: then differences are taken first, so that no finite score leaves
 * the range of floats. Either costs one multiplication a score.
 */
function online(units: Normalizer['units']): Normalizer {
  const natural = units === 'natural'
  /** e^x or 2^x, for differences of scores */
  const lifted = (x: Value) => exp2(natural ? x.mul(log2e) : x)
  const fromNatural = (x: Value) => (natural ? x : x.mul(log2e))
  const toNatural = (x: Value) => (natural ? x : x.mul(ln2))
  return {
    name: 'softmax',
    units,
    split: ({ m, l }) => ({ m: m as Value, l: l as Value }),
    init: (tileQ) => ({ m: full([tileQ, 1], Number.NEGATIVE_INFINITY), l: zeros([tileQ, 1]) }),
    step: ({ m, l }, s) => {
      const top = rowMax(s) //                                          [tileQ, 1]
      const mNew = select(top.gt((m as Value).add(natural ? lag * ln2 : lag)), top, m as Value)
      // −∞ − −∞ is NaN: a row that has seen no key yet is stabilised by 0
      const stable = select(mNew.eq(Number.NEGATIVE_INFINITY), 0, mNew)
      const alpha = lifted((m as Value).sub(stable))
      const p = lifted(s.sub(stable)) //                                [tileQ, tileK]
      return { state: { m: mNew, l: (l as Value).mul(alpha).add(rowSum(p)) }, p, alpha }
    },
    finish: ({ m, l }, sink) => {
      let [top, sum] = [m as Value, l as Value]
      if (sink) {
        const logit = fromNatural(sink)
        const joined = max(top, logit)
        sum = sum.mul(lifted(top.sub(joined))).add(lifted(logit.sub(joined)))
        // p·v was summed relative to m: its factor moves to the scale
        return { scale: lifted(top.sub(joined)).div(sum), lse: toNatural(joined).add(sum.log()) }
      }
      return {
        scale: select(sum.eq(0), 0, sum.reciprocal()),
        lse: select(sum.eq(0), Number.NEGATIVE_INFINITY, toNatural(top).add(sum.log())),
      }
    },
    resume: (lse, sink) => {
      const m = select(lse.eq(Number.NEGATIVE_INFINITY), 0, fromNatural(lse))
      // weights relative to lse sum to 1, together with the sink's
      return { m, l: sink ? full([1, 1], 1).sub(exp(sink.sub(lse))) : full([1, 1], 1) }
    },
  }
}

/**
 * p = softmax(s), online (Milakov and Gimelshein, arXiv 1805.02867), with a lazily updated maximum. A row with nothing to
 * attend to, or with nothing but scores of −∞, has scale 0 and lse −∞; one with a score of NaN or +∞ has NaN in both. Scores
 * that a `scoreMod` made may be any finite number, ±3.4e38 too; without one, query · key · scale beyond ±2.3e38 counts as
 * infinite.
 */
export const softmax: Normalizer = { ...online('log2'), natural: online('natural') }
