import { describe, expect, it } from 'vitest'
import { jsonTokenizer } from './json-tokenizer.ts'

const settings = { file: 'made', bosToken: null, eosTokens: [], addBos: null, addEos: null, chatTemplate: null }
const letters = [...'abcqzxvwk ', ',', '_', '1', 'é'].map((letter, id): [string, number] => [letter, id])
const plain = { single_word: false, lstrip: false, rstrip: false, normalized: false, special: false }

const tokenizerOf = (added: readonly object[], normalizer: unknown = null) =>
  jsonTokenizer(
    {
      added_tokens: added.map((token, i) => ({ ...plain, id: 50 + i, ...token })),
      normalizer,
      pre_tokenizer: { type: 'Split', pattern: { String: ' ' }, behavior: 'Isolated', invert: false },
      decoder: { type: 'Fuse' },
      model: { type: 'BPE', vocab: Object.fromEntries(letters), merges: [] },
    },
    settings,
  )
const spelled = (added: readonly object[], text: string, normalizer?: unknown) => {
  const tokenizer = tokenizerOf(added, normalizer)
  return tokenizer.encode(text, { special: false }).map((id) => tokenizer.piece(id).text)
}

describe('added tokens', () => {
  it('of single words are found where no letter, digit, mark or _ is beside them', () => {
    const added = [{ content: 'qz', single_word: true }]
    for (const text of ['a qz b', 'qz', 'qz,a', ',qz', ' qz ']) expect(spelled(added, text), text).toContain('qz')
    for (const text of ['aqzb', 'aqz', 'qzb', 'qz_', '1qz', 'qzé', 'qzqz'])
      expect(spelled(added, text), text).not.toContain('qz')
    expect(spelled(added, 'qz qzz')).toEqual(['qz', ' ', 'q', 'z', 'z'])
  })

  it('take the longest of those that begin at a place, and white space along where they say so', () => {
    expect(spelled([{ content: 'ab' }, { content: 'abc' }], 'abcab')).toEqual(['abc', 'ab'])
    expect(spelled([{ content: 'x', lstrip: true }], 'a  x b')).toEqual(['a', 'x', ' ', 'b'])
    expect(spelled([{ content: 'x', rstrip: true }], 'a x \u3000b')).toEqual(['a', ' ', 'x', 'b'])
    expect(spelled([{ content: 'x', lstrip: true, rstrip: true }], ' x  x ')).toEqual(['x', 'x'])
  })

  it('are looked for in normalised text where they say so', () => {
    const lower = { type: 'Lowercase' }
    expect(spelled([{ content: 'QZ', normalized: true }], 'a qZ', lower)).toEqual(['a', ' ', 'qz'])
    expect(spelled([{ content: 'QZ', normalized: false }], 'a qZ QZ', lower)).toEqual(['a', ' ', 'q', 'z', ' ', 'QZ'])
    const composed = { type: 'NFC' }
    expect(spelled([{ content: 'e\u0301', normalized: true }], 'aé', composed)).toEqual(['a', 'é'])
  })

  it('are plain text where they are special and the caller says so', () => {
    const tokenizer = tokenizerOf([
      { content: 'qz', special: true },
      { content: 'vw' },
      { content: 'ab', special: true, single_word: true },
    ])
    const ids = (specialTokens: 'match' | 'text') => tokenizer.encode('qzvwqz ab', { special: false, specialTokens })
    expect(ids('match')).toEqual([50, 51, 50, 9, 52])
    expect(ids('text')).toEqual([3, 4, 51, 3, 4, 9, 0, 1])
    expect(tokenizer.decode(ids('text'))).toBe('qzvwqz ab')
    expect(() => tokenizer.encode('a', { specialTokens: 'txt' as 'text' })).toThrow(
      /specialTokens must be match or text/,
    )
    expect(() => tokenizer.encode('a', { specialToken: 'text' } as object)).toThrow(
      /no field specialToken.*specialTokens/,
    )
  })
})

/** Llama 2's, with words enough; what is expected is recorded from tokenizers 0.23.2 (Rust) on a vocabulary of this form. */
describe('added tokens of SentencePiece', () => {
  const words = ['<unk>', '▁', '▁Arthur', '▁met', '▁today', '.', 'D', 'e', 'n', 'i', 'z']
  const merges = ['▁Arthur', '▁met', '▁today'].flatMap((word) =>
    Array.from(word)
      .slice(1)
      .map((letter, i): [string, string] => [word.slice(0, i + 1), letter]),
  )
  const vocab = [...new Set([...words, ...merges.flat()])]
  const llama = (token: object) =>
    jsonTokenizer(
      {
        added_tokens: [{ ...plain, id: vocab.length, content: 'Deniz', ...token }],
        normalizer: {
          type: 'Sequence',
          normalizers: [
            { type: 'Prepend', prepend: '▁' },
            { type: 'Replace', pattern: { String: ' ' }, content: '▁' },
          ],
        },
        decoder: {
          type: 'Sequence',
          decoders: [
            { type: 'Replace', pattern: { String: '▁' }, content: ' ' },
            { type: 'ByteFallback' },
            { type: 'Fuse' },
            { type: 'Strip', content: ' ', start: 1, stop: 0 },
          ],
        },
        model: {
          type: 'BPE',
          unk_token: '<unk>',
          fuse_unk: true,
          byte_fallback: true,
          vocab: Object.fromEntries(vocab.map((word, id) => [word, id])),
          merges,
        },
      },
      settings,
    )
  const pieces = (token: object, text: string) => {
    const tokenizer = llama(token)
    const ids = tokenizer.encode(text, { special: false })
    return [ids.map((id) => tokenizer.piece(id).text.replaceAll(' ', '▁')), tokenizer.decode(ids)]
  }

  it('that are normalised give back the space that they are found with', () => {
    const met = 'Arthur met Deniz today.'
    expect(pieces({ normalized: true }, met)).toEqual([['▁Arthur', '▁met', '▁Deniz', '▁today', '.'], met])
    expect(pieces({ normalized: true }, 'Deniz')).toEqual([['▁Deniz'], 'Deniz'])
    expect(pieces({ normalized: true }, 'metDeniz')).toEqual([['▁met', 'D', 'e', 'n', 'i', 'z'], 'metDeniz'])
    expect(pieces({ normalized: true }, 'Deniz Deniz')).toEqual([['▁Deniz', '▁Deniz'], 'Deniz Deniz'])
    expect(pieces({ normalized: true, single_word: true }, 'Deniz')).toEqual([['▁Deniz'], 'Deniz'])
  })

  it('that are not begin a text anew after them', () => {
    expect(pieces({}, 'Arthur met Deniz today.')).toEqual([
      ['▁Arthur', '▁met', '▁', 'Deniz', '▁', '▁today', '.'],
      'Arthur met Deniz  today.',
    ])
    expect(pieces({}, 'metDeniz')).toEqual([['▁met', 'Deniz'], 'metDeniz'])
  })
})
