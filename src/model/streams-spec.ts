import type { NormSpec } from './norm-spec.ts'

/**
 * Several residual streams instead of one (AltUp: Baykal et al. 2023, arXiv 2301.13310, as Gemma 3n has it). The first is the
 * embedding x0, stream i of the others into_i · x0, as large as x0. A layer is given what is predicted of stream `active` and
 * corrects them all by what it makes of it; with m(x) = tanh(router · (routerFactor · norm(x))):
 *
 *   p_q = s_q + Σ_r (prediction · m(s_active))_qr · s_r     s_q = p_q + (1 + (correction · m(layer(p_active)))_q) · (layer(p_active) − p_active)
 *
 * Embeddings of each layer then go by s_active · scale, and to all streams but the first. After the last layer x is the mean of
 * s_0 and the others, outOf_i · s_i, as large as s_0.
 */
export interface StreamsSpec {
  readonly count: number
  readonly active: number
  readonly norm: NormSpec
  readonly routerFactor: number
  /** is there a scale of what embeddings of each layer go by? */
  readonly scale: boolean
}
