import type { ScoreMod } from '../attention/hooks.ts'
import { gaussianDistance, softCap } from '../attention/scores/index.ts'
import { FoveaError } from '../ir/error.ts'

/** How score functions that need no tensor are written on the command line. */
export const scoreForms = 'softcap:CAP gaussian:SIGMA'

/** A score function written as a word. Throws `argument`. */
export function parseScore(where: string, text: string): ScoreMod {
  const [name, number] = text.split(':')
  const value = Number(number)
  if (number !== undefined && value > 0) {
    if (name === 'softcap') return softCap(value)
    if (name === 'gaussian') return gaussianDistance(value)
  }
  throw new FoveaError('argument', where, `no score function '${text}'; they are ${scoreForms}, with numbers above 0`)
}
