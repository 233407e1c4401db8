import type { ScoreMod } from '../hooks.ts'

/** cap · tanh(score / cap): scores stay within ±cap (Gemma 2, 2024, arXiv 2408.00118, section 2). */
export function softCap(cap: number): ScoreMod {
  return ({ score }) =>
    score
      .mul(1 / cap)
      .tanh()
      .mul(cap)
}
