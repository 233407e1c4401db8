import type { Normalizer } from '../../src/attention/index.ts'
import { sigmoid, softmax, softpick } from '../../src/attention/normalizers/index.ts'
import { exp, max, rowMax, rowSum, select, type Value, zeros } from '../../src/tile/index.ts'

/** a user's own: squares of positive scores over their sum, and a softmax whose state is not told by lse */
const squares: Normalizer = {
  name: 'squares',
  units: 'natural',
  split: null,
  init: (tileQ) => ({ l: zeros([tileQ, 1]) }),
  step: ({ l }, s) => {
    const p = s.max(0).mul(s.max(0))
    return { state: { l: (l as Value).add(rowSum(p)) }, p, alpha: null }
  },
  finish: ({ l }) => ({ scale: (l as Value).add(1).reciprocal(), lse: (l as Value).add(1).log() }),
}
const halved: Normalizer = {
  name: 'halved',
  units: 'natural',
  split: null,
  init: (tileQ) => ({ m: zeros([tileQ, 1]), l: zeros([tileQ, 1]) }),
  step: ({ m, l }, s) => {
    const top = max(m as Value, rowMax(s))
    const alpha = exp((m as Value).sub(top))
    const p = exp(s.sub(top))
    return { state: { m: top, l: (l as Value).mul(alpha).add(rowSum(p)) }, p, alpha }
  },
  // half of the weight of every row goes nowhere
  finish: ({ m, l }) => {
    const none = (l as Value).eq(0)
    return {
      scale: select(none, 0, (l as Value).reciprocal().mul(0.5)),
      lse: select(none, 0, (m as Value).add((l as Value).log())),
    }
  },
}

/** Weights of one row of scores and its lse, by definition, in float64. */
export const definitions: Readonly<
  Record<string, (s: readonly number[], sink: number | null) => { p: number[]; lse: number }>
> = {
  softmax: (s, sink) => {
    const total = s.reduce((sum, x) => sum + Math.exp(x), sink === null ? 0 : Math.exp(sink))
    return { p: s.map((x) => Math.exp(x) / total), lse: Math.log(total) }
  },
  sigmoid: (s, sink) => {
    const p = s.map((x) => 1 / (1 + Math.exp(-x)))
    return { p, lse: Math.log(p.reduce((a, b) => a + b, sink === null ? 0 : 1 / (1 + Math.exp(-sink)))) }
  },
  softpick: (s, sink) => {
    const m = Math.max(-80, ...s, ...(sink === null ? [] : [sink]))
    const lifted = (x: number) => Math.exp(x - m) - Math.exp(-m)
    const total = s.reduce((sum, x) => sum + Math.abs(lifted(x)), 1e-6 + (sink === null ? 0 : Math.abs(lifted(sink))))
    return { p: s.map((x) => Math.max(lifted(x), 0) / total), lse: m + Math.log(total) }
  },
  squares: (s) => {
    const p = s.map((x) => Math.max(x, 0) ** 2)
    const total = p.reduce((a, b) => a + b, 1)
    return { p: p.map((x) => x / total), lse: Math.log(total) }
  },
  halved: (s) => {
    const total = s.reduce((sum, x) => sum + Math.exp(x), 0)
    return { p: s.map((x) => Math.exp(x) / total / 2), lse: s.length === 0 ? 0 : Math.log(total) }
  },
}
/** Those that fovea has, and two of a user's own, which do not resume from lse. */
export const normalizers = { softmax, sigmoid, softpick, squares, halved }
