import { exp, rowSum, select, type Value, zeros } from '../../tile/index.ts'
import type { Normalizer } from './normalizer.ts'

/**
 * p = 1 / (1 + e^(−s)), each key for itself (Ramapuram et al., "Theory, Analysis, and Best Practices for Sigmoid
 * Self-Attention", 2024, arXiv 2409.04431; its bias −log S is a `scoreMod`). `lse` is log Σ p. A sink only joins that sum.
 */
export const sigmoid: Normalizer = {
  name: 'sigmoid',
  units: 'natural',
  split: null,
  init: (tileQ) => ({ l: zeros([tileQ, 1]) }),
  step: ({ l }, s) => {
    const p = select(s.eq(Number.NEGATIVE_INFINITY), 0, s.sigmoid()) // [tileQ, tileK]
    return { state: { l: (l as Value).add(rowSum(p)) }, p, alpha: null }
  },
  finish: ({ l }, sink) => {
    const sum = sink ? (l as Value).add(sink.sigmoid()) : (l as Value)
    return { scale: null, lse: select(sum.eq(0), Number.NEGATIVE_INFINITY, sum.log()) }
  },
  resume: (lse, sink) => ({ l: sink ? exp(lse).sub(sink.sigmoid()) : exp(lse) }),
}
