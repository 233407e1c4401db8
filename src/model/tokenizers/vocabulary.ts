import { isRecord } from '../architectures/config-fields.ts'
import { definitionFault } from './definition-fault.ts'

/** The `vocab` of a model, an object of ids by tokens. Throws `format` naming a token without an id. */
export function vocabularyOf(vocab: unknown): ReadonlyMap<string, number> {
  if (!isRecord(vocab)) throw definitionFault('format', 'model.vocab', vocab, 'must be an object')
  const ids = new Map<string, number>()
  for (const token of Object.keys(vocab)) {
    const id = vocab[token]
    if (typeof id !== 'number' || !Number.isSafeInteger(id) || id < 0 || id >= 2 ** 31)
      throw definitionFault('format', `model.vocab[${JSON.stringify(token)}]`, id, 'must be an id')
    ids.set(token, id)
  }
  return ids
}

const encoder = new TextEncoder()

/** The tokens "<0x0A>" of the bytes of a text, null where one of them is missing. */
export function byteFallback(vocabulary: ReadonlyMap<string, number>): (text: string) => number[] | null {
  const ids = Array.from({ length: 256 }, (_, byte) =>
    vocabulary.get(`<0x${byte.toString(16).toUpperCase().padStart(2, '0')}>`),
  )
  return (text) => {
    const own = Array.from(encoder.encode(text), (byte) => ids[byte])
    return own.every((id) => id !== undefined) ? own : null
  }
}
