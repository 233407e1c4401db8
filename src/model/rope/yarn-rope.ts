import { defaultRope } from './default-rope.ts'
import type { RopeBase, RopeFrequencies } from './rope-scaling.ts'

export interface YarnRope {
  readonly factor: number
  readonly originalMaxPositions: number
  /** turns over the original length above which a pair is left as it is (32) */
  readonly betaFast: number
  /** turns below which it is interpolated (1) */
  readonly betaSlow: number
  /** are the bounds of the ramp rounded outwards to whole pairs? (true) */
  readonly truncate: boolean
  /** instead of 0.1 · ln(factor) + 1 */
  readonly attentionFactor: number | null
  /** both given: the ratio of the two factors 0.1 · m · ln(factor) + 1 (DeepSeek) */
  readonly mscale: number | null
  readonly mscaleAllDim: number | null
}

/**
 * YaRN: fast pairs stay, slow ones are divided by `factor`, and between the pairs that turn betaFast and betaSlow times
 * over the original length a linear ramp mixes the two ("NTK by parts"); attention is sharpened by attentionFactor².
 *
 * Peng, Quesnelle, Fan, Shippole: YaRN, 2023, arXiv 2309.00071, equations 17 to 22; bounds in pairs as in the authors'
 * code and in Hugging Face transformers.
 */
export function yarnRope(base: RopeBase, scaling: YarnRope): RopeFrequencies {
  const { rotaryDim, theta } = base
  const { factor, originalMaxPositions, truncate } = scaling
  const pairTurning = (turns: number) =>
    (rotaryDim * Math.log(originalMaxPositions / (turns * 2 * Math.PI))) / (2 * Math.log(theta))
  const first = pairTurning(scaling.betaFast)
  const last = pairTurning(scaling.betaSlow)
  const low = Math.max(truncate ? Math.floor(first) : first, 0)
  const high = Math.min(truncate ? Math.ceil(last) : last, rotaryDim - 1)
  // a ramp of no length would divide by zero
  const width = low === high ? 0.001 : high - low

  const inverseFrequencies = defaultRope(base).inverseFrequencies.map((frequency, pair) => {
    const interpolated = Math.min(Math.max((pair - low) / width, 0), 1)
    return (interpolated * frequency) / factor + (1 - interpolated) * frequency
  })
  return { inverseFrequencies, attentionFactor: attentionFactorOf(scaling) }
}

function attentionFactorOf({ factor, attentionFactor, mscale, mscaleAllDim }: YarnRope): number {
  if (attentionFactor !== null) return attentionFactor
  const sharpened = (m: number) => (factor <= 1 ? 1 : 0.1 * m * Math.log(factor) + 1)
  return mscale && mscaleAllDim ? sharpened(mscale) / sharpened(mscaleAllDim) : sharpened(1)
}
