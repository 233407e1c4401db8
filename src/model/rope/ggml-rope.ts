import type { RopeBase, RopeFrequencies } from './rope-scaling.ts'

export interface GgmlRope {
  /** frequencies are divided by it, as far as the ramp says; 1 for none */
  readonly factor: number
  /** how much of YaRN's ramp is taken: 1, or 0 for plain interpolation */
  readonly extFactor: number
  readonly betaFast: number
  readonly betaSlow: number
  readonly originalPositions: number
  readonly attentionFactor: number
  /** one for each pair, before any scaling; null for none */
  readonly divisors: readonly number[] | null
}

/**
 * Rotary positions as llama.cpp turns them (ggml's rope): pair i by f = theta^(−2i / D) / divisor_i; scaled
 * f / factor · (1 − r) + f · r with YaRN's ramp r = extFactor · (1 − clamp((i − low) / (high − low))), low and high the pairs
 * that turn betaFast and betaSlow times over the original length. With a ramp the factor of both outputs is multiplied by
 * 1 + 0.1 · ln(factor), where transformers takes a stated one instead of it.
 */
export function ggmlRope({ rotaryDim, theta }: RopeBase, scaling: GgmlRope): RopeFrequencies {
  const { factor, extFactor, betaFast, betaSlow, originalPositions, divisors } = scaling
  const pairTurning = (turns: number) =>
    (rotaryDim * Math.log(originalPositions / (turns * 2 * Math.PI))) / (2 * Math.log(theta))
  const low = Math.max(0, Math.floor(pairTurning(betaFast)))
  const high = Math.min(rotaryDim - 1, Math.ceil(pairTurning(betaSlow)))
  const inverseFrequencies = Array.from({ length: rotaryDim / 2 }, (_, pair) => {
    const frequency = theta ** ((-2 * pair) / rotaryDim) / (divisors?.[pair] ?? 1)
    const across = Math.min(Math.max((pair - low) / Math.max(0.001, high - low), 0), 1)
    const kept = extFactor * (1 - across)
    return (frequency / factor) * (1 - kept) + frequency * kept
  })
  const sharpened = extFactor === 0 ? 1 : 1 + 0.1 * Math.log(factor)
  return { inverseFrequencies, attentionFactor: scaling.attentionFactor * sharpened }
}
