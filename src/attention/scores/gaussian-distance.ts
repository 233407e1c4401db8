import type { ScoreMod } from '../hooks.ts'

/** score − (k − q)² / (2 sigma²): a Gaussian prior on distance (Yang et al., 2018, arXiv 1810.10182); `sigma` in tokens. */
export function gaussianDistance(sigma: number): ScoreMod {
  return ({ score, q, k }) => {
    const distance = k.sub(q).cast('f32')
    return score.sub(distance.mul(distance).mul(1 / (2 * sigma * sigma)))
  }
}
