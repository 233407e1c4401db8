import { defaultRope } from './default-rope.ts'
import type { RopeBase, RopeFrequencies } from './rope-scaling.ts'

export interface Llama3Rope {
  readonly factor: number
  readonly lowFreqFactor: number
  readonly highFreqFactor: number
  readonly originalMaxPositions: number
}

/**
 * Llama 3.1's scaling by wavelength λ = 2π / f over the original length M: pairs with λ < M / highFreqFactor stay, those
 * with λ > M / lowFreqFactor are divided by `factor`, and between them the two are mixed by
 * s = (M / λ − lowFreqFactor) / (highFreqFactor − lowFreqFactor): (1 − s) · f / factor + s · f.
 *
 * Grattafiori et al.: The Llama 3 Herd of Models, 2024, arXiv 2407.21783; the formula is that of the released code.
 */
export function llama3Rope(base: RopeBase, scaling: Llama3Rope): RopeFrequencies {
  const { factor, lowFreqFactor, highFreqFactor, originalMaxPositions } = scaling
  const inverseFrequencies = defaultRope(base).inverseFrequencies.map((frequency) => {
    // turns over the original length
    const turns = (originalMaxPositions * frequency) / (2 * Math.PI)
    if (turns > highFreqFactor) return frequency
    if (turns < lowFreqFactor) return frequency / factor
    const kept = (turns - lowFreqFactor) / (highFreqFactor - lowFreqFactor)
    return ((1 - kept) * frequency) / factor + kept * frequency
  })
  return { inverseFrequencies, attentionFactor: 1 }
}
