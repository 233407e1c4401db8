import { defaultRope } from './default-rope.ts'
import type { RopeBase, RopeFrequencies } from './rope-scaling.ts'

/**
 * Position interpolation: positions are divided by `factor`, which is every frequency divided by it.
 *
 * Chen, Wong, Chen, Tian: Extending Context Window of Large Language Models via Positional Interpolation, 2023,
 * arXiv 2306.15595, equation 4.
 */
export function linearRope(base: RopeBase, { factor }: { readonly factor: number }): RopeFrequencies {
  const { inverseFrequencies, attentionFactor } = defaultRope(base)
  return { inverseFrequencies: inverseFrequencies.map((frequency) => frequency / factor), attentionFactor }
}
