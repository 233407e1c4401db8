import type { RopeFrequencies } from './rope-scaling.ts'

export interface ProportionalRope {
  /** elements of a head */
  readonly headDim: number
  /** base of the geometric series of wavelengths */
  readonly theta: number
  /** share of the pairs that turn */
  readonly partial: number
  /** every frequency is divided by it */
  readonly factor: number
}

/**
 * Part of a head turns as it would if all of it did: pairs are those of the whole head, (i, i + headDim / 2), and so are the
 * frequencies θ^(−2i / headDim) / factor of the first ⌊partial · headDim / 2⌋ of them; the others stand still.
 *
 * Google: Gemma 4, 2026 (no paper); the form is that of Hugging Face transformers.
 */
export function proportionalRope({ headDim, theta, partial, factor }: ProportionalRope): RopeFrequencies {
  const turning = Math.floor((partial * headDim) / 2)
  const inverseFrequencies = Array.from({ length: headDim / 2 }, (_, pair) =>
    pair < turning ? theta ** ((-2 * pair) / headDim) / factor : 0,
  )
  return { inverseFrequencies, attentionFactor: 1 }
}
