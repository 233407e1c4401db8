import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { Tokenizer } from '../model/tokenizer.ts'
import { StopTexts } from './stop-texts.ts'
import { TextStream } from './text-stream.ts'

/** a token is a byte of UTF-8 */
const bytes = {
  decode: (tokens: readonly number[]) => new TextDecoder().decode(Uint8Array.from(tokens)),
} as unknown as Tokenizer

describe('TextStream', () => {
  it('gives the text of all tokens, never a piece of a character', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme', maxLength: 40 }), (text) => {
        const stream = new TextStream(bytes)
        const pieces = [...new TextEncoder().encode(text)].map((byte) => stream.push(byte))
        for (const piece of pieces) expect(piece.includes('�')).toBe(false)
        expect(pieces.join('') + stream.flush()).toBe(text)
      }),
    )
  })

  it('gives out bytes that make no character', () => {
    const stream = new TextStream(bytes)
    const text = [0xff, 0xff, 0xff, 0xff, 0xff, 65].map((byte) => stream.push(byte)).join('') + stream.flush()
    expect(text).toBe('�����A')
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
