import { describe, expect, it } from 'vitest'
import { matchesOf, textPattern } from './text-pattern.ts'

const found = (pattern: unknown, text: string) =>
  [...matchesOf(textPattern(pattern), text)].map(({ start, end }) => text.slice(start, end))
const regex = (Regex: string, text: string) => found({ Regex }, text)

describe('patterns of tokenizer.json', () => {
  it('are looked for as they stand, or as Oniguruma reads them', () => {
    expect(found({ String: 'a.' }, 'a.b ab a.')).toEqual(['a.', 'a.'])
    expect(found({ String: '' }, 'ab')).toEqual([])
    expect(regex("(?i:'s|'ll)|\\p{L}+", "it'S we'Ll ABC")).toEqual(['it', "'S", 'we', "'Ll", 'ABC'])
    // a byte order mark is no white space, U+0085 is
    expect(regex('\\s+', 'a\uFEFFb\u0085c\u3000')).toEqual(['\u0085', '\u3000'])
    expect(regex('[^\\S\\n]+', 'a \t\nb\u0085')).toEqual([' \t', '\u0085'])
    expect(regex('\\S+', 'a\uFEFFb c')).toEqual(['a\uFEFFb', 'c'])
    expect(regex('[\\p{L}&&[^\\p{Han}]]+', 'ab日本c')).toEqual(['ab', 'c'])
    expect(regex('\\p{Han}+|[[:digit:]]+', 'ab日本c12')).toEqual(['日本', '12'])
    expect(regex('[!"#$%&\'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+', '-ab ]c {d &e')).toEqual([
      '-ab',
      ']c',
      '{d',
      '&e',
    ])
    expect(regex('^a|b$', 'a\nab\nb')).toEqual(['a', 'a', 'b', 'b'])
    expect(regex('.+', 'ab\rc\nd')).toEqual(['ab\rc', 'd'])
    expect(regex('\\p{N}{1,3}', '12345')).toEqual(['123', '45'])
    expect(regex('y(?i)ab(?-i)C|x', 'yABC yabc yaBX x yAbx')).toEqual(['yABC', 'yAbx'])
    expect(regex('\\x{1F600}|\\u00e9|\\-', '😀é-')).toEqual(['😀', 'é', '-'])
  })

  it('give nothing back where they are possessive', () => {
    expect(regex('a++b|a', 'aab')).toEqual(['aab'])
    expect(regex('[a-z]++z', 'abcz')).toEqual([])
    expect(regex('(?>a|ab)c', 'abc ac')).toEqual(['ac'])
    expect(regex('\\s++$|\\s', 'a  b ')).toEqual([' ', ' ', ' '])
  })

  it('match where nothing is, once each', () => {
    expect([...matchesOf(textPattern({ Regex: 'x*' }), 'a😀x')]).toEqual([
      { start: 0, end: 0 },
      { start: 1, end: 1 },
      { start: 3, end: 4 },
      { start: 4, end: 4 },
    ])
  })

  it('that are none are refused, with the expression', () => {
    for (const wrong of ['(a', 'a)', '[a', 'a\\', '*a', '[b-a]', '\\p{Nothing}', '(?<=a)*b('])
      expect(() => textPattern({ Regex: wrong }), wrong).toThrow(
        expect.objectContaining({ message: expect.stringContaining('expression') }),
      )
    expect(() => textPattern({ Regexp: 'a' })).toThrow(expect.objectContaining({ code: 'format' }))
  })
})
