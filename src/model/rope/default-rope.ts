import type { RopeBase, RopeFrequencies } from './rope-scaling.ts'

/**
 * Rotary positions as first published: pair i turns by theta^(−2i / rotaryDim) radians per position.
 *
 * Su, Lu, Pan, Murtadha, Wen, Liu: RoFormer, 2021, arXiv 2104.09864, section 3.3. Where only a part of a head turns
 * (GPT-NeoX, Phi), rotaryDim is that part. Computed in float64.
 */
export function defaultRope({ rotaryDim, theta }: RopeBase): RopeFrequencies {
  const inverseFrequencies = Array.from({ length: rotaryDim / 2 }, (_, i) => theta ** ((-2 * i) / rotaryDim))
  return { inverseFrequencies, attentionFactor: 1 }
}
