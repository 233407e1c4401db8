import type { EncoderText } from '../../model/encoders/encoder-runner.ts'
import type { EncoderSpec } from '../../model/encoders/encoder-spec.ts'
import type { Tokenizer } from '../../model/tokenizer.ts'
import { fillTemplate } from '../../model/tokenizers/fill-template.ts'
import type { TemplatePart } from '../../model/tokenizers/text-templates.ts'
import { FoveaError } from '../../tile/index.ts'

/** What a text is held against. */
export interface TextRules {
  /** the function that was called, for errors */
  readonly where: string
  readonly spec: EncoderSpec
  readonly tokenizer: Tokenizer
  readonly maxTokens: number
  readonly truncate: boolean
  readonly lowerCase: boolean
}

/**
 * One text, or a query and a text, as the tokens that the model is given: encoded, with what the tokenizer puts around them.
 * Special tokens that a text spells out are text. Token ids are taken as they are. What is too long loses its end, the longer
 * of two first, where `truncate` says so.
 *
 * Throws `argument` (no text, no tokens, a token that the model has no row for) and `capacity` (too long), naming `what`;
 * `unsupported` where the tokenizer has no place for two texts.
 */
export async function readText(
  rules: TextRules,
  what: string,
  texts: readonly (string | readonly number[])[],
): Promise<EncoderText> {
  const { where, spec, tokenizer, maxTokens, truncate } = rules
  const fault = (code: 'argument' | 'capacity' | 'unsupported', message: string) =>
    new FoveaError(code, where, `${what} ${message}`)
  const [given] = texts
  if (texts.length === 1 && typeof given !== 'string') {
    const tokens = given as readonly number[]
    if (!Array.isArray(tokens)) throw fault('argument', `must be a text or token ids, got ${typeof given}`)
    return checked({ tokens: tokens.length > maxTokens && truncate ? tokens.slice(0, maxTokens) : tokens })
  }
  if (texts.some((text) => typeof text !== 'string')) throw fault('argument', 'must be texts')
  const bodies: number[][] = []
  for (const text of texts as readonly string[]) {
    const letters = rules.lowerCase ? text.toLowerCase() : text
    bodies.push(await tokenizer.encodeAsync(letters, { special: false, specialTokens: 'text' }))
  }
  const template = templateFor(texts.length)
  const around = fillTemplate(template, []).tokens.length
  if (truncate) cut(bodies, Math.max(0, maxTokens - around))
  return checked(fillTemplate(template, bodies))

  function templateFor(count: number): readonly TemplatePart[] {
    const { single, pair } = tokenizer.templates ?? { single: [], pair: null }
    if (count === 1) return single
    if (pair) return pair
    throw fault('unsupported', 'cannot be joined: the tokenizer has no template for two texts')
  }

  function checked(text: EncoderText): EncoderText {
    const { tokens } = text
    if (tokens.length === 0) throw fault('argument', 'has no tokens')
    if (tokens.length > maxTokens)
      throw fault(
        'capacity',
        `has ${tokens.length} tokens, at most ${maxTokens} are taken (maxTokens, of ${spec.maxPositions} positions); truncate cuts texts off`,
      )
    const foreign = tokens.findIndex((token) => !Number.isInteger(token) || token < 0 || token >= spec.vocabSize)
    if (foreign >= 0)
      throw fault(
        'argument',
        `has the token ${tokens[foreign]} at ${foreign}; tokens go from 0 to ${spec.vocabSize - 1}`,
      )
    // a model without types reads past those of a template
    return spec.embedding.tokenTypes > 1 ? text : { tokens }
  }
}

/** Takes tokens from the end of the longest text, one after the other, until all have room. */
function cut(bodies: number[][], room: number): void {
  const lengths = bodies.map(({ length }) => length)
  const [first = 0, second = 0] = lengths
  let over = first + second - room
  if (over <= 0) return
  if (bodies.length === 2) {
    const long = first > second ? 0 : 1
    const difference = Math.min(over, Math.abs(first - second))
    lengths[long] = (lengths[long] as number) - difference
    over -= difference
    // equal now: the second gives the odd token
    lengths[0] = (lengths[0] as number) - Math.floor(over / 2)
    lengths[1] = (lengths[1] as number) - Math.ceil(over / 2)
  } else lengths[0] = room
  for (const [i, body] of bodies.entries()) body.length = Math.max(0, lengths[i] as number)
}
