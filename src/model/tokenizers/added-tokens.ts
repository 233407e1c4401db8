import { isRecord } from '../architectures/config-fields.ts'
import { definitionFault } from './definition-fault.ts'
import type { TextRewrite } from './normalize-text.ts'

/** A token that stands for itself wherever it occurs in a text. */
export interface AddedToken {
  readonly id: number
  /** as it is looked for, and as it is decoded: normalised where `normalized` says so */
  readonly content: string
  readonly special: boolean
  /** is it looked for after normalising? */
  readonly normalized: boolean
  /** only where no letter or digit is beside it */
  readonly singleWord: boolean
  /** takes the white space before it, or after it, along */
  readonly lstrip: boolean
  readonly rstrip: boolean
}

/**
 * The `added_tokens` of a tokenizer.json. A token that the vocabulary has too keeps the vocabulary's id, and one that is
 * looked for in normalised text is normalised itself, as Hugging Face's tokenizers do (0.23).
 *
 * Throws `format` naming the token.
 */
export function addedTokens(
  list: unknown,
  vocabulary: ReadonlyMap<string, number>,
  normalize: TextRewrite | null,
): readonly AddedToken[] {
  if (list === null || list === undefined) return []
  if (!Array.isArray(list)) throw definitionFault('format', 'added_tokens', list, 'must be a list')
  const tokens = list.map((entry: unknown, i): AddedToken => {
    const { content, id } = isRecord(entry) ? entry : {}
    if (
      !isRecord(entry) ||
      typeof content !== 'string' ||
      typeof id !== 'number' ||
      !Number.isSafeInteger(id) ||
      id < 0
    )
      throw definitionFault('format', `added_tokens[${i}]`, entry, 'must have content and an id')
    const flag = (name: string) => entry[name] === true
    const special = flag('special')
    // what is not said is as for a token that is added by its text alone
    const normalized = typeof entry.normalized === 'boolean' ? entry.normalized : !special
    return {
      id: vocabulary.get(content) ?? id,
      content: normalized && normalize ? normalize(content) : content,
      special,
      normalized,
      singleWord: flag('single_word'),
      lstrip: flag('lstrip'),
      rstrip: flag('rstrip'),
    }
  })
  return tokens
}
