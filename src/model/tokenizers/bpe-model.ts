import { definitionFault } from './definition-fault.ts'
import { mergePair } from './merge-pair.ts'
import { mergeSymbols } from './merge-symbols.ts'
import { MergeTable } from './merge-table.ts'
import type { TokenModel } from './token-model.ts'
import { byteFallback, vocabularyOf } from './vocabulary.ts'

/**
 * Byte-pair encoding of a tokenizer.json, as Hugging Face's tokenizers do it: a character that is no token is its bytes
 * (`byte_fallback`), else `unk_token`, else nothing. Throws `format` naming the field, `unsupported` for `dropout`.
 */
export function bpeModel(definition: Readonly<Record<string, unknown>>): TokenModel {
  const vocabulary = vocabularyOf(definition.vocab)
  const prefix = textOr(definition.continuing_subword_prefix)
  const suffix = textOr(definition.end_of_word_suffix)
  if (typeof definition.dropout === 'number' && definition.dropout > 0)
    throw definitionFault('unsupported', 'model.dropout', definition.dropout, 'must be 0: encoding is not by chance')
  const { table, wordsBegin } = mergesOf(definition.merges, vocabulary, prefix)
  const unknown = unknownToken(definition.unk_token, vocabulary)
  const [fuses, whole] = [definition.fuse_unk === true, definition.ignore_merges === true]
  const bytes = definition.byte_fallback === true ? byteFallback(vocabulary) : null

  const symbolsOf = (piece: string): Int32Array => {
    const symbols: number[] = []
    let fused = false
    const letters = Array.from(piece)
    for (const [i, letter] of letters.entries()) {
      const written = (i > 0 ? prefix : '') + letter + (i === letters.length - 1 ? suffix : '')
      const id = vocabulary.get(written)
      const own = id === undefined ? (bytes?.(written) ?? null) : [id]
      if (own) for (const symbol of own) symbols.push(symbol)
      else if (unknown !== null && !(fuses && fused)) symbols.push(unknown)
      fused = own === null
    }
    return Int32Array.from(symbols)
  }
  return {
    vocabulary,
    tokens(piece) {
      const id = whole ? vocabulary.get(piece) : undefined
      return id === undefined ? mergeSymbols(symbolsOf(piece), table) : [id]
    },
    ...(wordsBegin && !whole && prefix === '' && suffix === '' && vocabulary.has('▁') && { cut: sentencePieceWords }),
  }
}

/** Where a "▁" follows another letter a word begins, which is never merged with what is before it. */
function* sentencePieceWords(piece: string): Generator<string, void, undefined> {
  let start = 0
  for (let at = piece.indexOf('▁', 1); at >= 0; at = piece.indexOf('▁', at + 1)) {
    if (piece[at - 1] === '▁') continue
    yield piece.slice(start, at)
    start = at
  }
  yield piece.slice(start)
}

/** Pairs, which older files write as "left right". */
function mergesOf(merges: unknown, vocabulary: ReadonlyMap<string, number>, prefix: string) {
  if (!Array.isArray(merges)) throw definitionFault('format', 'model.merges', merges, 'must be a list')
  const table = new MergeTable(merges.length)
  let wordsBegin = true
  for (const [rank, merge] of merges.entries()) {
    const [left, right] = mergePair(merge, rank)
    const ids = [left, right, left + right.slice(right.startsWith(prefix) ? prefix.length : 0)].map((token) =>
      vocabulary.get(token),
    )
    const [leftId, rightId, merged] = ids
    if (leftId === undefined || rightId === undefined || merged === undefined)
      throw definitionFault('format', `model.merges[${rank}]`, merge, 'must be of tokens of the vocabulary')
    table.set(leftId, rightId, rank, merged)
    if (right.startsWith('▁') && !left.endsWith('▁')) wordsBegin = false
  }
  return { table, wordsBegin }
}

function unknownToken(token: unknown, vocabulary: ReadonlyMap<string, number>): number | null {
  if (token === null || token === undefined) return null
  const id = typeof token === 'string' ? vocabulary.get(token) : undefined
  if (id === undefined) throw definitionFault('format', 'model.unk_token', token, 'must be a token of the vocabulary')
  return id
}

function textOr(value: unknown): string {
  return typeof value === 'string' ? value : ''
}
