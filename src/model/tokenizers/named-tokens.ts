import { FoveaError } from '../../tile/index.ts'
import { isRecord } from '../architectures/config-fields.ts'
import { shown } from '../files/shown.ts'
import type { TokenizerDefinition } from './json-tokenizer.ts'

/** A token as a configuration names it, in the fields of an entry of `added_tokens`. */
export interface NamedToken {
  readonly content: string
  readonly special: boolean
  readonly normalized: boolean
  readonly single_word: boolean
  readonly lstrip: boolean
  readonly rstrip: boolean
}

const flags = ['special', 'normalized', 'single_word', 'lstrip', 'rstrip'] as const

/**
 * A token from its text, or from an object with its text and how it is looked for; what that leaves out is as for an
 * AddedToken of Hugging Face's tokenizers. Throws `format` naming file and field.
 */
export function namedToken(file: string, field: string, value: unknown, special: boolean): NamedToken {
  const fault = (what: string, wanted: string, found: unknown) =>
    new FoveaError('format', 'openCheckpoint', `${file}: ${what} must be ${wanted}, got ${shown(found)}`)
  const given = typeof value === 'string' ? { content: value } : value
  if (!isRecord(given) || typeof given.content !== 'string')
    throw fault(field, 'a token: a text, or an object with its content', value)
  const { content } = given
  for (const flag of flags)
    if (given[flag] !== undefined && typeof given[flag] !== 'boolean')
      throw fault(`${field}.${flag}`, 'true or false', given[flag])
  const isSpecial = special || given.special === true
  const flag = (name: (typeof flags)[number]) => given[name] === true
  return {
    content,
    special: isSpecial,
    normalized: given.normalized === undefined ? !isSpecial : flag('normalized'),
    single_word: flag('single_word'),
    lstrip: flag('lstrip'),
    rstrip: flag('rstrip'),
  }
}

/**
 * The definition with the tokens that a configuration has besides: those of `listed` change how a token of the same text is
 * looked for, those of `named` are only added where there is none; what is new has the vocabulary's id for its text or the
 * next one, as in transformers (5.18). What is no list of tokens is left to be refused with the definition.
 */
export function withNamedTokens(
  definition: TokenizerDefinition,
  listed: readonly NamedToken[],
  named: readonly NamedToken[],
): TokenizerDefinition {
  const own = definition.added_tokens ?? []
  const vocabulary = isRecord(definition.model) ? idsOf(definition.model.vocab) : undefined
  if (!Array.isArray(own) || !own.every(isRecord) || !vocabulary) return definition
  const tokens: Record<string, unknown>[] = [...own]
  const at = new Map(tokens.map(({ content }, i) => [content, i]))
  let last = tokens.reduce((most, { id }) => (typeof id === 'number' && id > most ? id : most), -1)
  const add = (token: NamedToken) => {
    if (token.content === '' || at.has(token.content)) return
    const next = last >= vocabulary.size ? last + 1 : vocabulary.size
    const id = vocabulary.id(token.content) ?? next
    last = Math.max(last, id)
    at.set(token.content, tokens.push({ id, ...token }) - 1)
  }
  for (const token of listed) {
    const place = at.get(token.content)
    const known = place === undefined ? undefined : tokens[place]
    // what is special once stays so
    if (place !== undefined && known)
      tokens[place] = { ...known, ...token, special: known.special === true || token.special }
    else add(token)
  }
  for (const token of named) add(token)
  return { ...definition, added_tokens: tokens }
}

/** Ids of a vocabulary: an object of them, or a list of texts and scores. */
function idsOf(vocab: unknown): { size: number; id(content: string): number | undefined } | undefined {
  if (isRecord(vocab))
    return {
      size: Object.keys(vocab).length,
      id: (content) => (Object.hasOwn(vocab, content) ? (vocab[content] as number) : undefined),
    }
  if (!Array.isArray(vocab)) return undefined
  return {
    size: vocab.length,
    id(content) {
      const index = vocab.findIndex((entry) => Array.isArray(entry) && entry[0] === content)
      return index < 0 ? undefined : index
    },
  }
}
