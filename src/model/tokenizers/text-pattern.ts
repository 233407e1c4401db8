import { FoveaError } from '../../tile/index.ts'
import { isRecord } from '../architectures/config-fields.ts'
import { compilePattern, type PatternProgram } from '../patterns/compile-pattern.ts'
import { parsePattern } from '../patterns/parse-pattern.ts'
import { PatternMatcher } from '../patterns/pattern-matcher.ts'
import { translateRegex } from './translate-regex.ts'

/** Where a pattern matched in a text: [start, end), in UTF-16 units. */
export interface PatternMatch {
  readonly start: number
  readonly end: number
}

/** A pattern by which a tokenizer cuts or rewrites texts. */
export interface TextPattern {
  /** The first match that begins at `from` or after it, null when there is none. May be empty. */
  next(text: string, from: number): PatternMatch | null
}

/**
 * The pattern of a tokenizer.json: `{ String }` is looked for as it stands, `{ Regex }` is an expression of Oniguruma,
 * which Hugging Face's tokenizers use. Every look of a tokenizer at a text by a pattern goes through `next`.
 *
 * Throws `format` naming the expression when it is none, `unsupported` for what has no counterpart here.
 */
export function textPattern(pattern: unknown): TextPattern {
  if (typeof pattern === 'string') return literal(pattern)
  if (isRecord(pattern) && typeof pattern.String === 'string') return literal(pattern.String)
  if (isRecord(pattern) && typeof pattern.Regex === 'string') return expression(pattern.Regex)
  throw new FoveaError('format', 'openTokenizer', `a pattern must have String or Regex, got ${JSON.stringify(pattern)}`)
}

function literal(content: string): TextPattern {
  return {
    next(text, from) {
      // nothing is found by looking for nothing
      const start = content === '' ? -1 : text.indexOf(content, from)
      return start < 0 ? null : { start, end: start + content.length }
    },
  }
}

function expression(source: string): TextPattern {
  const program = compiled(source)
  let matcher: PatternMatcher | undefined
  return {
    next(text, from) {
      if (matcher?.text !== text) matcher = new PatternMatcher(program, text)
      try {
        const match = matcher.next(from)
        // what it remembers of a text is needed while matches are taken from it
        if (!match) matcher = undefined
        return match
      } catch (cause) {
        matcher = undefined
        throw fault('unsupported', source, cause)
      }
    },
  }
}

/**
 * JavaScript's engine says whether an expression is one, but does not run it: it cannot be interrupted, and gives up on
 * runs of a few million characters.
 */
function compiled(source: string): PatternProgram {
  const translated = translateRegex(source)
  try {
    new RegExp(translated, 'v')
  } catch (cause) {
    throw fault('format', source, cause)
  }
  try {
    return compilePattern(parsePattern(translated))
  } catch (cause) {
    throw fault('unsupported', source, cause)
  }
}

function fault(code: 'format' | 'unsupported', source: string, cause: unknown): FoveaError {
  const shown = JSON.stringify(source.slice(0, 200))
  const reason = (cause as Error).message
  const message = code === 'format' ? `no expression: ${shown}: ${reason}` : `the expression ${shown} ${reason}`
  return new FoveaError(code, 'openTokenizer', message, { cause })
}

/** All matches in order, none overlapping another; what lies between them is what did not match. */
export function* matchesOf(pattern: TextPattern, text: string): Generator<PatternMatch, void, undefined> {
  let at = 0
  while (at <= text.length) {
    const match = pattern.next(text, at)
    if (!match) return
    yield match
    // after an empty match goes the next character, which is one or two units
    at = match.end > match.start ? match.end : match.end + (isPair(text, match.end) ? 2 : 1)
  }
}

function isPair(text: string, at: number): boolean {
  return (text.codePointAt(at) ?? 0) > 0xffff
}
