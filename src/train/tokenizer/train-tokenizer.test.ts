import { Tokenizer as LibraryTokenizer } from '@huggingface/tokenizers'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { bytesByLetter } from '../../model/tokenizers/byte-letters.ts'
import { jsonTokenizer } from '../../model/tokenizers/json-tokenizer.ts'
import { trainTokenizer } from './train-tokenizer.ts'
import { wordPattern } from './word-pattern.ts'

const settings = { file: 'trained', bosToken: 0, eosTokens: [1], addBos: null, addEos: null, chatTemplate: null }

/** The definition: count all pairs anew in each step, take the most frequent, of equal ones the oldest. */
function naiveMerges(text: string, count: number, specials: number): string[] {
  const letters = [...bytesByLetter()].sort(([a], [b]) => (a < b ? -1 : 1))
  const vocabulary = [...Array<string>(specials).fill(''), ...letters.map(([letter]) => letter)]
  const letterOf = new Map(letters.map(([letter, byte]) => [byte, letter]))
  const words = [...text.matchAll(wordPattern(true))].map(([word]) =>
    Array.from(new TextEncoder().encode(word), (byte) => vocabulary.indexOf(letterOf.get(byte) as string)),
  )
  const merges: string[] = []
  while (merges.length < count) {
    const counts = new Map<string, number>()
    for (const word of words)
      for (let i = 0; i + 1 < word.length; i++) {
        const pair = `${word[i]} ${word[i + 1]}`
        counts.set(pair, (counts.get(pair) ?? 0) + 1)
      }
    const ranked = [...counts].map(([pair, n]) => [...pair.split(' ').map(Number), n] as [number, number, number])
    const best = ranked.sort((a, b) => b[2] - a[2] || a[0] - b[0] || a[1] - b[1])[0]
    if (!best) break
    const [left, right] = best
    merges.push(`${vocabulary[left]} ${vocabulary[right]}`)
    const token = vocabulary.push(`${vocabulary[left]}${vocabulary[right]}`) - 1
    for (const word of words)
      for (let i = 0; i + 1 < word.length; i++) if (word[i] === left && word[i + 1] === right) word.splice(i, 2, token)
  }
  return merges
}

const mergesOf = (definition: Readonly<Record<string, unknown>>) =>
  (definition.model as { merges: [string, string][] }).merges.map((pair) => pair.join(' '))

describe('trainTokenizer', () => {
  it('merges what the definition merges, in its order', async () => {
    const text = fc.array(fc.constantFrom('a', 'b', 'ab', ' ', 'é', '7', "'s", '\n'), { minLength: 1, maxLength: 60 })
    await fc.assert(
      fc.asyncProperty(text, fc.integer({ min: 1, max: 12 }), async (parts, wanted) => {
        const whole = parts.join('')
        const expected = naiveMerges(whole, wanted, 4)
        const made = await trainTokenizer({ texts: [whole], vocabSize: 260 + expected.length })
        expect(mergesOf(made)).toEqual(expected)
      }),
      { numRuns: 150 },
    )
  })

  it('gives a tokenizer that carries any text, here and in the library', async () => {
    const texts = [
      'It was the best of times, it was the worst of times. '.repeat(4),
      "Call me Ishmael; 'tis 1851. Ça va\n\n",
    ]
    const definition = JSON.parse(JSON.stringify(await trainTokenizer({ texts, vocabSize: 290 })))
    const own = jsonTokenizer(definition, settings)
    const library = new LibraryTokenizer(definition, {})
    const encode = (text: string) => own.encode(text, { special: false })
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme', maxLength: 80 }), (text) => {
        const tokens = encode(text)
        expect(own.decode(tokens, { skipSpecial: false })).toBe(text)
        expect(library.encode(text).ids).toEqual(tokens)
      }),
    )
    expect(encode('<|begin|>the best<|end|>')).toEqual([0, ...encode('the best'), 1])
    expect(encode('the worst of times').length).toBeLessThan('the worst of times'.length / 2)
    // each digit is a token of its own, without the space before it
    expect(encode(' 1851').map((token) => own.piece(token).text)).toEqual([' ', '1', '8', '5', '1'])
  })

  it('does not merge from one text into the next, and merges digits if told to', async () => {
    const apart = await trainTokenizer({ texts: ['ab', 'ab', 'ab'], vocabSize: 257, specialTokens: [] })
    expect(mergesOf(apart)).toEqual(['a b'])
    const numbers = await trainTokenizer({ texts: ['19 19 19'], vocabSize: 257, specialTokens: [], splitDigits: false })
    expect(mergesOf(numbers)).toEqual(['1 9'])
  })

  it.each([
    [{ vocabSize: 259 }, /vocabSize must be a whole number from 260 .* got 259/],
    [{ vocabSize: 300 }, /give 261 tokens, not 300/],
    [{ vocabSize: 300, specialTokens: ['<a>', '<a>'] }, /special token "<a>" is empty or given twice/],
  ])('refuses %j', async (options, message) => {
    await expect(trainTokenizer({ texts: ['aa'], ...options })).rejects.toThrow(message)
  })
})
