import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { Tokenizer } from '../model/tokenizer.ts'
import { jsonTokenizer } from '../model/tokenizers/json-tokenizer.ts'
import { StopTexts } from './stop-texts.ts'
import { TextStream } from './text-stream.ts'

const settings = { file: 'made', bosToken: 0, eosTokens: [1], addBos: null, addEos: null, chatTemplate: null }
const bytePieces = Array.from({ length: 256 }, (_, byte) => `<0x${byte.toString(16).toUpperCase().padStart(2, '0')}>`)
const special = ['<s>', '</s>', '<|skip|>']
const pieces = [...special, ...bytePieces, '▁Hello', '▁world', '▁again', 'ly', '▁', '\uFEFF']
const idOf = (piece: string) => pieces.indexOf(piece)
const tokensOf = (text: string) => [...new TextEncoder().encode(text)].map((byte) => byte + special.length)

const stripping = [
  { type: 'Replace', pattern: { String: '▁' }, content: ' ' },
  { type: 'ByteFallback' },
  { type: 'Fuse' },
  { type: 'Strip', content: ' ', start: 1, stop: 0 },
]
/** SentencePiece's pieces, a byte each for what is none; Llama's decoder, Mistral's, and Gemma's, which keeps the space. */
const decoders = {
  strip: { type: 'Sequence', decoders: stripping },
  metaspace: {
    type: 'Sequence',
    decoders: [{ type: 'ByteFallback' }, { type: 'Metaspace', replacement: '▁', prepend_scheme: 'always' }],
  },
  plain: { type: 'Sequence', decoders: stripping.slice(0, 3) },
}
const tokenizerOf = (decoder: unknown): Tokenizer =>
  jsonTokenizer(
    {
      added_tokens: special.map((content, id) => ({ id, content, special: true, normalized: false })),
      decoder,
      model: { type: 'BPE', vocab: Object.fromEntries(pieces.map((piece, id) => [piece, id])), merges: [] },
    },
    settings,
  )
const bytes = tokenizerOf(decoders.plain)

const given = (tokenizer: Tokenizer, prompt: readonly number[], answer: readonly number[]) => {
  const stream = new TextStream(tokenizer, prompt)
  return answer.map((token) => stream.push(token)).join('') + stream.flush()
}

describe('TextStream', () => {
  it('gives the text of all tokens, never a piece of a character', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme', maxLength: 40 }), (text) => {
        const stream = new TextStream(bytes, [])
        const given = tokensOf(text).map((byte) => stream.push(byte))
        for (const piece of given) expect(piece.includes('�')).toBe(false)
        expect(given.join('') + stream.flush()).toBe(text)
      }),
    )
  })

  it('gives out bytes that make no character, and the character after them whole', () => {
    const raw = (...values: number[]) => values.map((byte) => byte + special.length)
    expect(given(bytes, [], raw(0xff, 0xff, 0xff, 0xff, 0xff, 65))).toBe('�����A')
    // a stray byte counts as none of the four of the character after it
    for (const stray of [[0xff], [0x80, 0x81], [0xe2, 0x82], [0xf0, 0x9f, 0x8c]])
      expect(given(bytes, [], [...raw(...stray), ...tokensOf('🌊é')]), stray.join()).toMatch(/^\uFFFD+🌊é$/)
    // tokens without text between the bytes of a character are no bytes of it
    const [a = 0, b = 0, c = 0, d = 0] = tokensOf('🌊')
    expect(given(bytes, [], [a, 2, 2, b, 2, 900, c, 2, 2, 2, d])).toBe('🌊')
    expect(given(bytes, [], [...tokensOf('�'), idOf('\uFEFF'), ...tokensOf('\uFEFFx')])).toBe('�\uFEFF\uFEFFx')
    // an answer may go on inside a character of the prompt
    expect(given(bytes, [a, b], [c, d, ...tokensOf('!')])).toBe('🌊!')
  })

  it.each(Object.entries(decoders))('with %s goes on where the prompt ends, as decoding both does', (_, decoder) => {
    const tokenizer = tokenizerOf(decoder)
    const token = fc.oneof(
      fc.constantFrom(0, 2, idOf('▁Hello'), idOf('▁world'), idOf('▁'), idOf('ly'), ...tokensOf(' a')),
    )
    fc.assert(
      fc.property(fc.array(token, { maxLength: 6 }), fc.array(token, { maxLength: 6 }), (prompt, answer) => {
        const whole = tokenizer.decode([...prompt, ...answer])
        const before = tokenizer.decode(prompt)
        expect(whole.startsWith(before)).toBe(true)
        expect(given(tokenizer, prompt, answer)).toBe(whole.slice(before.length))
        // and a text decoded from its first token on is the text decoded at once
        expect(given(tokenizer, [], answer)).toBe(tokenizer.decode(answer))
      }),
      { numRuns: 300, seed: 3 },
    )
  })

  it('keeps the first space of an answer, and that after a token that is not shown', () => {
    const [hello, world, again] = ['▁Hello', '▁world', '▁again'].map(idOf) as [number, number, number]
    for (const decoder of [decoders.strip, decoders.metaspace]) {
      const tokenizer = tokenizerOf(decoder)
      expect(given(tokenizer, [0, hello], [world, again])).toBe(' world again')
      expect(given(tokenizer, [0, hello], [world, 2, again])).toBe(' world again')
      expect(given(tokenizer, [0], [hello, world])).toBe('Hello world')
      expect(given(tokenizer, [0, 2], [2, hello, 2, world])).toBe('Hello world')
      expect(given(tokenizer, [hello, 1], [world])).toBe(' world')
      expect(given(tokenizer, [hello, 1, 2, 0, 2, 2], [world])).toBe(' world')
    }
    expect(given(tokenizerOf(decoders.plain), [0], [hello, world])).toBe(' Hello world')
  })
})

describe('StopTexts', () => {
  it('cuts at the first stop text, however the text is cut into pieces', () => {
    const letters = fc.string({ unit: fc.constantFrom('a', 'b', 'c'), maxLength: 30 })
    const stop = fc.string({ unit: fc.constantFrom('a', 'b', 'c'), minLength: 1, maxLength: 4 })
    fc.assert(
      fc.property(letters, fc.array(stop, { maxLength: 3 }), fc.integer({ min: 1, max: 5 }), (text, stops, size) => {
        const found = stops.map((s) => text.indexOf(s)).filter((at) => at >= 0)
        const matcher = new StopTexts(stops)
        let given = ''
        for (let at = 0; at < text.length; at += size) given += matcher.push(text.slice(at, at + size))
        given += matcher.flush()
        expect(matcher.stopped).toBe(found.length > 0)
        if (found.length === 0) expect(given).toBe(text)
        // a stop text that ends earlier is found before one that begins earlier
        else {
          const ends = stops.filter((s) => text.includes(s)).map((s) => text.indexOf(s) + s.length)
          expect(text.startsWith(given)).toBe(true)
          expect(given.length).toBeLessThanOrEqual(Math.min(...ends))
          for (const s of stops) expect(given.includes(s)).toBe(false)
        }
      }),
    )
  })
})
