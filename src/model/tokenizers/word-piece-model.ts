import { definitionFault } from './definition-fault.ts'
import type { TokenModel } from './token-model.ts'
import { vocabularyOf } from './vocabulary.ts'

/**
 * WordPiece of a tokenizer.json (BERT's): from left to right the longest token, those inside a word with "##" before them;
 * a word of which a part is no token, or that is too long, is unknown as a whole. Throws `format` naming the field.
 */
export function wordPieceModel(definition: Readonly<Record<string, unknown>>): TokenModel {
  const vocabulary = vocabularyOf(definition.vocab)
  const {
    unk_token = '[UNK]',
    continuing_subword_prefix: prefix = '##',
    max_input_chars_per_word: most = 100,
  } = definition
  const unknown = typeof unk_token === 'string' ? vocabulary.get(unk_token) : undefined
  if (unknown === undefined)
    throw definitionFault('format', 'model.unk_token', unk_token, 'must be a token of the vocabulary')
  if (typeof prefix !== 'string' || typeof most !== 'number')
    throw definitionFault('format', 'model.continuing_subword_prefix', prefix, 'must be a text')

  const tokensOf = (word: string): number[] => {
    const letters = Array.from(word)
    if (letters.length > most) return [unknown]
    const found: number[] = []
    for (let at = 0; at < letters.length; ) {
      let end = letters.length
      let id: number | undefined
      for (; end > at; end--) {
        id = vocabulary.get((at > 0 ? prefix : '') + letters.slice(at, end).join(''))
        if (id !== undefined) break
      }
      if (id === undefined) return [unknown]
      found.push(id)
      at = end
    }
    return found
  }
  return { vocabulary, tokens: tokensOf }
}
