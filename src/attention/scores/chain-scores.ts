import type { ScoreMod } from '../hooks.ts'

/** One score function after the other: the next is given the score of the one before. */
export function chainScores(...mods: readonly ScoreMod[]): ScoreMod {
  return (context) => mods.reduce((score, mod) => mod({ ...context, score }), context.score)
}
