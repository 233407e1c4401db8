import fc from 'fast-check'
import { beforeAll, describe, expect, it } from 'vitest'
import { retrievalDocument } from '../../llm/retrieval-document.ts'
import { drawFacts, mostFacts } from '../../llm/retrieval-prose.ts'
import type { Tokenizer } from '../../model/tokenizer.ts'
import { jsonTokenizer } from '../../model/tokenizers/json-tokenizer.ts'
import type { Row, Rows } from '../data/rows.ts'
import { tokenArray } from '../data/token-store.ts'
import { trainTokenizer } from '../tokenizer/train-tokenizer.ts'
import { associativeRecall } from './associative-recall.ts'
import { copying } from './copying-rows.ts'
import { induction } from './induction.ts'
import { proseRetrieval } from './prose-retrieval.ts'

function rowOf(rows: Rows, index: number): Row {
  const { length } = rows
  const row = {
    inputs: new Int32Array(length),
    targets: new Int32Array(length).fill(-1),
    documents: new Int32Array(length),
  }
  rows.fill(index, row)
  return row
}

const learnt = ({ targets }: Row) => [...targets.keys()].filter((at) => targets[at] !== -1)

let tokenizer: Tokenizer
beforeAll(async () => {
  const texts = ['The secret code of the amber bridge is 12345. The captain waited by the old tower. '.repeat(3)]
  const settings = { file: 'made', bosToken: 0, eosTokens: [1], addBos: null, addEos: null, chatTemplate: null }
  tokenizer = jsonTokenizer(await trainTokenizer({ texts, vocabSize: 300 }), settings)
})

describe('associativeRecall', () => {
  it('asks for each pair once, at an even distance, by its key', () => {
    fc.assert(
      fc.property(fc.nat(1e6), fc.nat(), (seed, index) => {
        const row = rowOf(associativeRecall({ seed }), index)
        const pairs = new Map<number, number>()
        for (let at = 0; at < 8; at += 2) {
          expect(row.inputs[at]).toBeGreaterThan(0)
          expect(row.inputs[at]).toBeLessThan(128)
          expect(row.inputs[at + 1]).toBeGreaterThanOrEqual(128)
          expect(row.inputs[at + 1]).toBeLessThan(256)
          pairs.set(row.inputs[at] as number, row.inputs[at + 1] as number)
        }
        expect(pairs.size).toBe(4)
        const asked = learnt(row)
        expect(asked.map((at) => row.inputs[at]).sort()).toEqual([...pairs.keys()].sort())
        for (const at of asked) {
          expect(at % 2 === 0 && at >= 8).toBe(true)
          expect(row.targets[at]).toBe(pairs.get(row.inputs[at] as number))
        }
        expect(row.inputs.subarray(8).filter((token) => token !== 0)).toHaveLength(4)
      }),
      { numRuns: 60 },
    )
  })

  it('draws distances from the power law', () => {
    const rows = associativeRecall({ pairs: 1, length: 12, powerLaw: 0.5, seed: 3 })
    const counts = new Array<number>(5).fill(0)
    for (let index = 0; index < 8000; index++) (counts[((learnt(rowOf(rows, index))[0] as number) - 2) / 2] as number)++
    const weights = counts.map((_, n) => (n + 1) ** -0.5)
    const total = weights.reduce((sum, weight) => sum + weight, 0)
    for (const [n, weight] of weights.entries()) expect((counts[n] as number) / 8000).toBeCloseTo(weight / total, 1.6)
  })

  it('puts noise between the queries if told to, and refuses what does not fit', () => {
    const [plain, noisy] = [rowOf(associativeRecall({}), 5), rowOf(associativeRecall({ noise: true }), 5)]
    expect(noisy.targets).toEqual(plain.targets)
    for (const at of learnt(plain)) expect(noisy.inputs[at]).toBe(plain.inputs[at])
    expect(noisy.inputs.filter((token) => token === 0).length).toBeLessThan(6)
    expect(() => associativeRecall({ pairs: 20 })).toThrow(
      '20 pairs and their queries need an even length of at least 80',
    )
    expect(() => associativeRecall({ vocabSize: 64 })).toThrow('vocabSize must be above length 64')
  })
})

describe('induction and copying', () => {
  it('asks at the end for what followed the special token', () => {
    const rows = induction({ vocabSize: 20, length: 24, seed: 4 })
    for (let index = 0; index < 200; index++) {
      const row = rowOf(rows, index)
      const place = row.inputs.indexOf(19)
      expect(learnt(row)).toEqual([23])
      expect([row.inputs[23], row.targets[23]]).toEqual([19, row.inputs[place + 1]])
      expect(row.inputs.lastIndexOf(19, 22)).toBe(place)
    }
  })

  it.each([false, true])('copies what lies before the separator (selective: %s)', (selective) => {
    const rows = copying({ vocabSize: 20, length: 24, items: 6, selective, seed: 4 })
    const places = new Set<number>()
    for (let index = 0; index < 200; index++) {
      const row = rowOf(rows, index)
      const region = row.inputs.subarray(0, 18)
      const items = region.filter((token) => token !== 0)
      expect(items).toHaveLength(6)
      expect(row.inputs[18]).toBe(19)
      expect(row.targets.subarray(18)).toEqual(items)
      expect(row.inputs.subarray(19)).toEqual(items.subarray(0, 5))
      expect(learnt(row)).toHaveLength(6)
      for (const [at, token] of region.entries()) if (token !== 0) places.add(at)
    }
    expect(places.size).toBe(selective ? 18 : 6)
  })
})

describe('proseRetrieval', () => {
  /** things that evaluations ask for */
  const known = new Set(drawFacts(Math.random, mostFacts).map(({ thing }) => thing))

  it('asks in the form of the evaluation', () => {
    const row = rowOf(proseRetrieval({ tokenizer, length: 400, codes: 3, seed: 9 }), 7)
    const asked = learnt(row)
    const end = (asked.at(-1) as number) + 1
    const text = tokenizer.decode([...row.inputs.subarray(0, end + 1)])
    // some evaluation document has the same words before the answer
    const question = text.slice(0, text.lastIndexOf(' is') + 3)
    const thing = /The secret code of the (\w+ \w+) is$/.exec(question)?.[1] as string
    const codes = new Map(
      [...question.matchAll(/code of the (\w+ \w+) is (\d{5})\./g)].map((found) => [found[1], found[2]]),
    )
    expect(codes.size).toBe(3)
    expect(text.slice(question.length)).toBe(` ${codes.get(thing)}`)
    expect(tokenizer.decode(asked.map((at) => row.targets[at] as number))).toBe(` ${codes.get(thing)}`)
    // documents of training begin with the begin token, which this tokenizer does not put before a text by itself
    expect([...row.inputs.subarray(0, (asked[0] as number) + 1)]).toEqual([
      tokenizer.bosToken,
      ...tokenizer.encode(question),
    ])
    const judged = retrievalDocument(tokenizer, { tokens: 392, codes: 3, seed: 0 })
    const shape = (prose: string) =>
      prose
        .replaceAll(/\d{5}/g, '#')
        .split(/[.] /)
        .map((sentence) => sentence.split(' ').at(-1))
    const [known, own] = [new Set(shape(judged.text)), new Set(shape(question))]
    expect([...own].filter((word) => word === '#' || word === 'is')).toEqual(
      [...known].filter((word) => word === '#' || word === 'is'),
    )
    expect(tokenizer.decode([...row.inputs.subarray(end + 1, end + 3)])).toMatch(/^\./)
    expect(row.inputs.subarray(end + 2).every((token) => token === 1)).toBe(true)
  })

  it('asks only what has been told, in dense documents, and keeps documents apart', () => {
    const rows = proseRetrieval({
      tokenizer,
      length: 1200,
      form: 'dense',
      codes: [2, 4],
      questions: [3, 5],
      documentTokens: [350, 500],
    })
    expect(rows.hasDocuments).toBe(true)
    for (let index = 0; index < 5; index++) {
      const row = rowOf(rows, index)
      for (let document = 0; document < 2; document++) {
        const inside = [...row.documents.keys()].filter((at) => row.documents[at] === document)
        expect(row.inputs[inside[0] as number]).toBe(0)
        const text = tokenizer.decode(inside.map((at) => row.inputs[at] as number))
        const told = new Map<string, string>()
        let questions = 0
        for (const [, thing, code] of text.matchAll(/code of the (\w+ \w+) is (\d{5})\./g)) {
          if (told.has(thing as string)) questions++
          expect(told.get(thing as string) ?? code).toBe(code)
          told.set(thing as string, code as string)
        }
        expect(told.size >= 2 && told.size <= 4 && questions >= 3 && questions <= 5).toBe(true)
        const answers = inside.filter((at) => row.targets[at] !== -1).map((at) => row.targets[at] as number)
        expect(tokenizer.decode(answers)).toMatch(new RegExp(`^( \\d{5}){${questions}}$`))
      }
    }
  })

  it('tells half of its dense documents of other things, half between stretches of texts', () => {
    const tokens = new Int32Array(500).fill(7)
    const texts = tokenArray([tokens], tokenizer.vocabSize)
    const rows = proseRetrieval({ tokenizer, length: 600, form: 'dense', texts })
    const drawn = Array.from({ length: 40 }, (_, index) => {
      const { inputs } = rowOf(rows, index)
      const things = [...tokenizer.decode([...inputs]).matchAll(/code of the (\w+ \w+) is/g)].map((found) => found[1])
      return { texts: inputs.filter((token) => token === 7).length > 200, other: !known.has(things[0] as string) }
    })
    for (const name of ['texts', 'other'] as const) {
      const count = drawn.filter((one) => one[name]).length
      expect(count > 8 && count < 32, `${name}: ${count} of 40`).toBe(true)
    }
  })

  it('is a function of the seed and the index, and refuses what does not fit', () => {
    const options = { tokenizer, length: 300, form: 'dense', learn: 'all' } as const
    const rows = proseRetrieval({ ...options, seed: 1 })
    const later = rowOf(rows, 3)
    expect(rowOf(rows, 2)).not.toEqual(later)
    expect(rowOf(proseRetrieval({ ...options, seed: 1 }), 3)).toEqual(later)
    expect(rowOf(proseRetrieval({ ...options, seed: 2 }), 3)).not.toEqual(later)
    // all but what nothing foretells: four codes that are stated
    const ends = later.inputs.indexOf(1)
    expect(learnt(later)).toHaveLength((ends < 0 ? 300 : ends) - 1 - 4 * 6)
    expect(() => rowOf(proseRetrieval({ ...options, codes: 40 }), 0)).toThrow('do not fit into 300 tokens')
    expect(() => proseRetrieval({ ...options, codes: [5, 4] })).toThrow('codes must be a whole number')
  })
})
