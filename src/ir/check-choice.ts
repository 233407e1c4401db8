import { meant } from './closest-name.ts'
import { FoveaError } from './error.ts'

/**
 * Throws `argument` in the name of `where` for a value that is none of the words that `what` may be: with the one that was
 * probably meant, and all there are.
 */
export function checkChoice<Choice extends string>(
  where: string,
  what: string,
  value: unknown,
  choices: readonly Choice[],
): asserts value is Choice {
  if (choices.includes(value as Choice)) return
  const all = `${what} must be one of ${choices.join(', ')}, got ${show(value)}`
  const close = typeof value === 'string' ? meant(value, choices) : ''
  throw new FoveaError('argument', where, close.includes('did you mean') ? `${all}${close}` : all)
}

function show(value: unknown): string {
  if (typeof value === 'string') return JSON.stringify(value.slice(0, 80))
  return typeof value === 'object' && value !== null ? 'an object' : String(value)
}
