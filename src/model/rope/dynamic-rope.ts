import { defaultRope } from './default-rope.ts'
import type { RopeBase, RopeFrequencies } from './rope-scaling.ts'

export interface DynamicRope {
  readonly factor: number
  /** the length that the model was trained with */
  readonly originalMaxPositions: number
  /** the length that it is to run with; up to the original one nothing changes */
  readonly contextLength: number
}

/**
 * Dynamic NTK scaling at a given length L over an original length M: the base grows to
 * theta · (factor · L / M − (factor − 1))^(D / (D − 2)), so that the slowest pair is interpolated and the fastest is not.
 *
 * Peng, Quesnelle, Fan, Shippole: YaRN, 2023, arXiv 2309.00071, section 3.3 and appendix; the form with `factor` is that
 * of Hugging Face transformers. There the base follows the text as it grows; here it is that of the whole context, so
 * that keys in the cache stay valid.
 */
export function dynamicRope({ rotaryDim, theta }: RopeBase, scaling: DynamicRope): RopeFrequencies {
  const { factor, originalMaxPositions, contextLength } = scaling
  const length = Math.max(contextLength, originalMaxPositions)
  const stretch = (factor * length) / originalMaxPositions - (factor - 1)
  return defaultRope({ rotaryDim, theta: theta * stretch ** (rotaryDim / (rotaryDim - 2)) })
}
