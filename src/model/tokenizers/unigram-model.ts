import { definitionFault } from './definition-fault.ts'
import type { TokenModel } from './token-model.ts'
import { byteFallback } from './vocabulary.ts'

/** how much less likely than any token a character is that is none, in SentencePiece */
const unknownPenalty = 10
/** characters between two chances for others to run */
const stride = 4096

/**
 * The unigram model of SentencePiece (Kudo, 2018), as Hugging Face's tokenizers run it: of all ways to write a piece as
 * tokens the one with the greatest sum of scores. Neighbouring characters that are no token are one unknown token, or
 * their bytes (`byte_fallback`). Throws `format` naming the field.
 */
export function unigramModel(definition: Readonly<Record<string, unknown>>): TokenModel {
  const { tokens, scores } = entriesOf(definition.vocab)
  const vocabulary = new Map(tokens.map((token, id) => [token, id]))
  const unknown = definition.unk_id ?? null
  if (
    unknown !== null &&
    !(Number.isInteger(unknown) && (unknown as number) >= 0 && (unknown as number) < tokens.length)
  )
    throw definitionFault('format', 'model.unk_id', unknown, `must be one of ${tokens.length} tokens`)
  const unknownId = unknown as number | null
  const longest = tokens.reduce((most, token) => Math.max(most, token.length), 1)
  const unknownScore =
    scores.reduce((least, score) => Math.min(least, score), Number.POSITIVE_INFINITY) - unknownPenalty
  const bytes = definition.byte_fallback === true ? byteFallback(vocabulary) : null

  /** Ids, −1 for what is no token, as runs of the piece. */
  function* best(piece: string): Generator<undefined, { id: number; text: string }[], undefined> {
    const size = piece.length
    const score = new Float64Array(size + 1).fill(Number.NEGATIVE_INFINITY)
    const [from, by] = [new Int32Array(size + 1), new Int32Array(size + 1).fill(-1)]
    score[0] = 0
    const offer = (start: number, end: number, id: number, own: number) => {
      const total = (score[start] as number) + own
      if (total <= (score[end] as number)) return
      score[end] = total
      from[end] = start
      by[end] = id
    }
    for (let at = 0, count = 1; at < size; count++) {
      if (count % stride === 0) yield
      const width = (piece.codePointAt(at) ?? 0) > 0xffff ? 2 : 1
      let single = false
      for (let end = at + width; end <= Math.min(size, at + longest); end++) {
        const id = vocabulary.get(piece.slice(at, end))
        if (id === undefined) continue
        offer(at, end, id, scores[id] as number)
        single ||= end === at + width
      }
      if (!single) offer(at, at + width, -1, unknownScore)
      at += width
    }
    const found: { id: number; text: string }[] = []
    for (let end = size; end > 0; end = from[end] as number) {
      const [id, text] = [by[end] as number, piece.slice(from[end], end)]
      const last = found.at(-1)
      if (id === -1 && last?.id === -1) last.text = text + last.text
      else found.push({ id, text })
    }
    return found.reverse()
  }
  return {
    vocabulary,
    *tokens(piece) {
      const runs = yield* best(piece)
      return runs.flatMap(({ id, text }) => {
        if (id >= 0) return [id]
        const known = vocabulary.get(text)
        if (known !== undefined) return [known]
        return bytes?.(text) ?? (unknownId === null ? [] : [unknownId])
      })
    },
  }
}

function entriesOf(vocab: unknown): { tokens: readonly string[]; scores: readonly number[] } {
  if (!Array.isArray(vocab))
    throw definitionFault('format', 'model.vocab', vocab, 'must be a list of tokens and scores')
  for (const [id, entry] of vocab.entries())
    if (!Array.isArray(entry) || typeof entry[0] !== 'string' || typeof entry[1] !== 'number')
      throw definitionFault('format', `model.vocab[${id}]`, entry, 'must be a token and its score')
  return { tokens: vocab.map(([token]) => token), scores: vocab.map(([, score]) => score) }
}
