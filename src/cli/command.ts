import { type ParseArgsConfig, parseArgs } from 'node:util'
import { FoveaError } from '../ir/error.ts'

/** One word after `fovea`. */
export interface Command {
  /** what `--help` prints */
  readonly help: string
  run(args: readonly string[]): Promise<void> | void
}

type Options = NonNullable<ParseArgsConfig['options']>
type Parsed<O extends Options> = ReturnType<
  typeof parseArgs<{ args: string[]; options: O; allowPositionals: true; strict: true }>
>

/** Options and positional words of a command; throws `argument` for what it does not know. */
export function parseCommand<const O extends Options>(
  name: string,
  args: readonly string[],
  options: O,
  maxPositionals = 0,
): Parsed<O> {
  let parsed: Parsed<O>
  try {
    parsed = parseArgs({ args: [...args], options, allowPositionals: true, strict: true })
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error)
    throw new FoveaError('argument', `fovea ${name}`, message.split('\n')[0] ?? message)
  }
  const extra = parsed.positionals[maxPositionals]
  if (extra !== undefined) throw new FoveaError('argument', `fovea ${name}`, `unexpected argument '${extra}'`)
  return parsed
}

/** A whole number ≥ `least` given as text; throws `argument`. */
export function wholeNumber(name: string, option: string, text: string, least = 1): number {
  const value = Number(text)
  if (text.trim() === '' || !Number.isSafeInteger(value) || value < least)
    throw new FoveaError(
      'argument',
      `fovea ${name}`,
      `${option} must be a whole number of at least ${least}, got '${text}'`,
    )
  return value
}

/** One of several words; throws `argument`. */
export function oneOf<Word extends string>(name: string, option: string, text: string, words: readonly Word[]): Word {
  const word = words.find((known) => known === text)
  if (word === undefined)
    throw new FoveaError('argument', `fovea ${name}`, `${option} must be one of ${words.join(', ')}, got '${text}'`)
  return word
}
