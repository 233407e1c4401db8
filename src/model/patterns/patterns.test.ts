import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { FoveaError } from '../../tile/index.ts'
import { jsonTokenizer } from '../tokenizers/json-tokenizer.ts'
import { matchesOf, textPattern } from '../tokenizers/text-pattern.ts'

interface Recorded {
  readonly cases: readonly { pattern: string; text: string; matches: readonly (readonly [number, number])[] }[]
}
const recorded: Recorded = JSON.parse(readFileSync(new URL('./recorded-matches.json', import.meta.url), 'utf8'))
const spans = (Regex: string, text: string) =>
  [...matchesOf(textPattern({ Regex }), text)].map(({ start, end }) => [start, end])

const contraction = "(?i:'s|'t|'re|'ve|'m|'ll|'d)"
const ending = '\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+'
const words = (digits: string) =>
  `${contraction}|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}${digits}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|${ending}`
const upper = '[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]'
const lower = '[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]'
const byCase = `[^\\r\\n\\p{L}\\p{N}]?${upper}*${lower}+${contraction}?|[^\\r\\n\\p{L}\\p{N}]?${upper}+${lower}*${contraction}?|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*|${ending}`
const known = { llama3: words('{1,3}'), qwen3: words(''), 'gpt-4o': byCase }

it('finds what Python finds, for random expressions', () => {
  for (const { pattern, text, matches } of recorded.cases) expect(spans(pattern, text), pattern).toEqual(matches)
  expect(recorded.cases.length).toBeGreaterThan(200)
})

it('finds what V8 finds, for the expressions of published vocabularies', () => {
  const pieces = [
    'a',
    'Z',
    ' ',
    '  ',
    '\n',
    '\r\n',
    '\t',
    '7',
    '12345',
    "'s",
    "'LL",
    '!',
    '/',
    'é',
    '\u0301',
    '漢字',
    'ſ',
    '-',
  ]
  let state = 7
  const random = (below: number) => {
    state = (Math.imul(state, 1103515245) + 12345) >>> 1
    return (state >> 8) % below
  }
  for (const Regex of Object.values(known)) {
    const native = new RegExp(
      Regex.replaceAll(contraction, "(?:'[sSſ]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])"),
      'gu',
    )
    for (let i = 0; i < 300; i++) {
      const text = Array.from({ length: random(30) }, () => pieces[random(pieces.length)]).join('')
      const expected = [...text.matchAll(native)].map((match) => [match.index, match.index + match[0].length])
      expect(spans(Regex, text), JSON.stringify(text)).toEqual(expected)
    }
  }
})

describe('bounds', () => {
  const length = 100_000
  const texts = {
    spaces: ' '.repeat(length),
    'spaces before a letter': `${' '.repeat(length)}x`,
    'line breaks': '\n'.repeat(length),
    letters: 'a'.repeat(length),
    capitals: 'A'.repeat(length),
    digits: '1'.repeat(length),
    signs: '!'.repeat(length),
    marks: '\u0301'.repeat(length),
    pairs: '😀'.repeat(length / 2),
  }
  const evil = {
    'spaces at an end': '\\s+$',
    'two runs': '\\s*\\s*x',
    'three runs': '\\s*\\s*\\s*x',
    'loops in loops': '(?:\\s+)+x',
    'loops of choices': '(?:\\s|[ ]|  )+x',
    'letters in loops': '(?:a|a)*b|(?:A*)*B',
    'many that may be': `${'a?'.repeat(40)}${'a'.repeat(40)}b`,
    'a run before each': '[a1]*b|[a1]',
    'counts in counts': '(?:(?:\\s{1,9}){1,9}){1,9}x',
    'lazy runs': '(?:.+?)+?x(?!x)',
    'empty loops': '(?:(?:\\s*)*)*x',
  }
  /** The bound is 100 ms for each 1,000 characters. */
  const bounded = (characters: number, run: () => void) => {
    const started = performance.now()
    run()
    expect(performance.now() - started).toBeLessThan(characters / 10)
  }
  it.each(Object.entries(texts))('%s: linear, for the expressions of published vocabularies', (_, text) => {
    // a fifth of the bound, so that noise is no failure and a square is
    for (const Regex of Object.values(known))
      bounded(length / 5, () => {
        let end = 0
        let gaps = 0
        for (const match of matchesOf(textPattern({ Regex }), text)) {
          if (match.start !== end) gaps++
          end = match.end
        }
        expect([end, gaps]).toEqual([text.length, 0])
      })
  })

  it.each(Object.entries(evil))('%s: within the bound, to an end or given up', (_, Regex) => {
    for (const text of [' ', 'a', 'A', '1'].flatMap((letter) => [letter.repeat(20_000), `${letter.repeat(20_000)}x`]))
      bounded(text.length, () => {
        try {
          for (const match of matchesOf(textPattern({ Regex }), text)) if (match.end < match.start) throw match
        } catch (error) {
          expect(error).toBeInstanceOf(FoveaError)
          expect((error as FoveaError).message).toMatch(/takes too many steps/)
        }
      })
  })

  it('an expression whose looks and atomic groups succeed again and again is given up, and said to', () => {
    bounded(20_000, () => expect(() => spans('(?>\\s*)y', ' '.repeat(20_000))).toThrow(/takes too many steps/))
    bounded(20_000, () => expect(() => spans('\\s(?=\\s*x)', `${' '.repeat(20_000)}x`)).toThrow(FoveaError))
    // where nobody asks for too much they work
    expect(spans('(?>\\s*)y', `${' '.repeat(200)}y`)).toEqual([[0, 201]])
  })

  it('expressions too large, too deep or without end are refused', () => {
    const refused: [string, RegExp][] = [
      ['a{100000}', /counts beyond 1000/],
      ['(?:(?:(?:ab){90}){90}){90}', /more than 4000 steps/],
      [`${'('.repeat(100)}a${')'.repeat(100)}`, /nested/],
      ['(?<=a+)b', /looks behind without end/],
      ['(a)\\1', /refers back/],
    ]
    for (const [Regex, reason] of refused) {
      expect(() => textPattern({ Regex })).toThrow(FoveaError)
      expect(() => textPattern({ Regex })).toThrow(reason)
    }
  })

  it('takes runs of millions, on which V8 gives up', () => {
    const text = `${' '.repeat(8_000_000)}x`
    expect(spans(known.llama3, text)).toEqual([
      [0, 7_999_999],
      [7_999_999, 8_000_001],
    ])
  })
})

it.each(Object.entries(known))(
  'lets others run while 100 kB of spaces are encoded by the expression of %s',
  async (_, Regex) => {
    // a byte-level vocabulary in which spaces join to 16 at most
    const spaces = (count: number) => 'Ġ'.repeat(count)
    const tokens = ['!', ...[1, 2, 4, 8, 16].map(spaces)]
    const split = { type: 'Split', pattern: { Regex }, behavior: 'Isolated', invert: false }
    const byteLevel = { type: 'ByteLevel', add_prefix_space: false, trim_offsets: false, use_regex: false }
    const tokenizer = jsonTokenizer(
      {
        added_tokens: [],
        normalizer: null,
        pre_tokenizer: { type: 'Sequence', pretokenizers: [split, byteLevel] },
        post_processor: null,
        decoder: { type: 'ByteLevel' },
        model: {
          type: 'BPE',
          vocab: Object.fromEntries(tokens.map((token, id) => [token, id])),
          merges: [1, 2, 4, 8].map((count) => [spaces(count), spaces(count)]),
        },
      },
      { file: 'made', bosToken: null, eosTokens: [], addBos: null, addEos: null, chatTemplate: null },
    )
    let last = performance.now()
    let worst = 0
    const timer = setInterval(() => {
      const now = performance.now()
      worst = Math.max(worst, now - last)
      last = now
    }, 1)
    const ids = await tokenizer.encodeAsync(' '.repeat(100_000), { special: false })
    await new Promise((resolve) => setTimeout(resolve, 5))
    clearInterval(timer)
    expect(ids).toEqual(new Array(6250).fill(5))
    // 100 ms a kilobyte would be 10 s
    expect(worst).toBeLessThan(2000)
  },
)
