import { defaultRope } from './default-rope.ts'
import type { RopeBase, RopeFrequencies } from './rope-scaling.ts'

export interface LongRope {
  /** one divisor per pair, for contexts up to the original length */
  readonly shortFactor: readonly number[]
  /** the same for longer ones */
  readonly longFactor: readonly number[]
  readonly originalMaxPositions: number
  readonly contextLength: number
  /** how much longer the longest context is than the original one */
  readonly factor: number
  /** instead of √(1 + ln(factor) / ln(original length)) */
  readonly attentionFactor: number | null
}

/**
 * LongRoPE: each pair has a divisor of its own, found by search, one set for short and one for long contexts.
 *
 * Ding, Zhang, Zhang, Xu, Shang, Xu, Yang, Yang: LongRoPE, 2024, arXiv 2402.13753, equation 2 and section 3.2. Which set
 * is used is a matter of the context that the model is opened for, not of the text so far, so that keys in the cache
 * stay valid.
 */
export function longRope(base: RopeBase, scaling: LongRope): RopeFrequencies {
  const { shortFactor, longFactor, originalMaxPositions, contextLength, factor } = scaling
  const divisors = contextLength > originalMaxPositions ? longFactor : shortFactor
  const inverseFrequencies = defaultRope(base).inverseFrequencies.map(
    (frequency, pair) => frequency / (divisors[pair] ?? 1),
  )
  const attentionFactor =
    scaling.attentionFactor ?? (factor <= 1 ? 1 : Math.sqrt(1 + Math.log(factor) / Math.log(originalMaxPositions)))
  return { inverseFrequencies, attentionFactor }
}
