import { mkdtemp, rm, utimes, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Tokenizer } from '../../model/tokenizer.ts'
import { jsonTokenizer } from '../../model/tokenizers/json-tokenizer.ts'
import { trainTokenizer } from '../tokenizer/train-tokenizer.ts'
import { documentEncoder } from './encode-documents.ts'
import { mixRows } from './mix-rows.ts'
import { packDocuments } from './pack-documents.ts'
import { packedRows } from './packed-rows.ts'
import { readDocuments } from './read-documents.ts'
import { batchesOf, type Rows } from './rows.ts'
import { shuffledIndex } from './shuffled-index.ts'
import { textFiles } from './text-files.ts'
import { textRows } from './text-rows.ts'
import { tokenizeFiles } from './token-file.ts'
import { tokenArray, tokenSlice } from './token-store.ts'

let folder = ''
let tokenizer: Tokenizer
const settings = { file: 'made', bosToken: 0, eosTokens: [1], addBos: null, addEos: null, chatTemplate: null }
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'fovea-data-'))
  tokenizer = jsonTokenizer(
    await trainTokenizer({ texts: ['so many words, so few. '.repeat(9)], vocabSize: 270 }),
    settings,
  )
})
afterAll(() => rm(folder, { recursive: true, force: true }))

const at = (name: string) => join(folder, name)

async function documentsOf(...paths: string[]): Promise<string[]> {
  const found: string[] = []
  for await (const document of readDocuments(await textFiles(paths))) found.push(document)
  return found
}

describe('readDocuments', () => {
  it('reads folders in order, documents apart by NULs, and what xz has packed', async () => {
    await writeFile(at('b.txt'), 'second\0third\0\0')
    await writeFile(at('a.md'), 'the first: ä')
    await writeFile(at('c.bin'), 'not a text')
    expect(await documentsOf(folder)).toEqual(['the first: ä', 'second', 'third'])
    // "packed\n" as xz packs it
    const packed = '/Td6WFoAAATm1rRGAgAhARYAAAB0L+WjAQAGcGFja2VkCgAAaNCq3DmCKkIAAR8HFi64cx+2830BAAAAAARZWg=='
    await writeFile(at('d.txt.xz'), Buffer.from(packed, 'base64'))
    expect(await documentsOf(at('d.txt.xz'))).toEqual(['packed\n'])
    await writeFile(at('d.txt.xz'), Buffer.from(packed, 'base64').subarray(0, 30))
    await expect(documentsOf(at('d.txt.xz'))).rejects.toMatchObject({ code: 'format' })
    await rm(at('d.txt.xz'))
  })

  it.each([
    ['empty', '', /empty: an empty text \(0 bytes\)/],
    ['blank', ' \n\0 ', /blank: an empty text/],
    ['zeros', Buffer.alloc(4096), /zeros: no text: 4096 of its first 4096 bytes are zero/],
    ['noise', Buffer.from([0x61, 0xff, 0xfe, 0x62]), /noise: no UTF-8 text/],
    ['cut', Buffer.from([0x61, 0xe2, 0x82]), /cut: no UTF-8 text/],
  ])('refuses a file that is %s', async (name, content, message) => {
    await writeFile(at(name), content)
    await expect(documentsOf(at(name))).rejects.toThrow(message)
    await rm(at(name))
  })

  it('names a path that is not there, and a folder without texts', async () => {
    await expect(textFiles([at('nowhere')])).rejects.toMatchObject({ code: 'io' })
    await expect(textFiles([join(import.meta.dirname)])).rejects.toMatchObject({ code: 'argument' })
  })
})

describe('tokenizeFiles', () => {
  it('keeps what the tokenizer gives, and makes it again when the text has changed', async () => {
    const cache = at('tokens')
    const options = { paths: [at('b.txt')], tokenizer, cache }
    const first = await tokenizeFiles(options)
    const whole = [
      0,
      ...tokenizer.encode('second', { special: false }),
      1,
      0,
      ...tokenizer.encode('third', { special: false }),
      1,
    ]
    const read = new Int32Array(first.length)
    first.read(0, read)
    expect([...read]).toEqual(whole)
    expect([...first.starts]).toEqual([0, whole.indexOf(1) + 1])
    const passes: number[] = []
    const again = await tokenizeFiles({ ...options, onProgress: (characters) => passes.push(characters) })
    expect([passes, again.fingerprint]).toEqual([[], first.fingerprint])
    await writeFile(at('b.txt'), 'second\0other\0')
    await utimes(at('b.txt'), 1, 1)
    const changed = await tokenizeFiles({ ...options, onProgress: (characters) => passes.push(characters) })
    expect(passes).toEqual([6, 11])
    expect(changed.fingerprint).not.toBe(first.fingerprint)
    await writeFile(cache, 'garbage')
    expect((await tokenizeFiles(options)).fingerprint).toBe(changed.fingerprint)
    for (const file of [first, again, changed]) file.close()
  })

  it('encodes documents as the tokenizer does', () => {
    const encode = documentEncoder(tokenizer)
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme', maxLength: 60 }), (text) => {
        const mixed = `${text} so many 1234 ½ words\n\n ${text}<|end|>`
        expect(encode(text)).toEqual(tokenizer.encode(text, { special: false }))
        expect(encode(mixed)).toEqual(tokenizer.encode(mixed, { special: false }))
      }),
    )
  })
})

describe('textRows', () => {
  /** documents whose tokens are all different, so that a row says where it was cut */
  const documents = [13, 1, 40, 7, 90].map((length, index) => Int32Array.from({ length }, (_, i) => 1000 * index + i))
  const tokens = tokenArray(documents, 5000)

  it('learns each token from those before it in its document, and nothing across documents', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 60 }), fc.nat(1e6), fc.nat(30), (length, seed, index) => {
        const { inputs, targets, documents: ids } = batchesAt(textRows({ tokens, length, seed }), index)
        for (let i = 0; i < length; i++) {
          const [here, target] = [inputs[i] as number, targets[i] as number]
          const last = (documents[Math.floor(here / 1000)] as Int32Array).length - 1
          expect(target).toBe(here % 1000 === last ? -1 : here + 1)
          if (i > 0)
            expect(ids[i] === ids[i - 1]).toBe(Math.floor(here / 1000) === Math.floor((inputs[i - 1] as number) / 1000))
        }
      }),
    )
  })

  it('begins every row with the begin token, if told to, and learns its first token, too', () => {
    // token 0 begins the first document, as a store's documents begin with the begin token
    const begun = tokenArray(
      documents.map((document) => Int32Array.from([0, ...document.subarray(1)])),
      5000,
    )
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 60 }), fc.nat(1e6), fc.nat(30), (length, seed, index) => {
        const {
          inputs,
          targets,
          documents: ids,
        } = batchesAt(textRows({ tokens: begun, length, seed, begin: 0 }), index)
        expect(inputs[0]).toBe(0)
        for (let i = 0; i < length; i++) {
          const after = inputs[i + 1]
          if (i + 1 < length) expect(targets[i]).toBe(after === 0 ? -1 : after)
          if (i > 0) expect(ids[i] === ids[i - 1]).toBe(inputs[i] !== 0)
        }
      }),
    )
  })

  it('goes through nearly every token once an epoch, each epoch in another order', () => {
    const rows = textRows({ tokens, length: 10, seed: 5 })
    const epoch = (index: number) =>
      Array.from({ length: rows.rowsPerEpoch }, (_, i) => [...batchesAt(rows, index * rows.rowsPerEpoch + i).inputs])
    const [first, second] = [epoch(0), epoch(1)]
    expect(new Set(first.flat()).size).toBe(10 * rows.rowsPerEpoch)
    expect(rows.rowsPerEpoch).toBe(14)
    expect(first).not.toEqual(second)
    expect(epoch(0)).toEqual(first)
  })

  it('goes on from a state as if it had never stopped', () => {
    const made = () => batchesOf(textRows({ tokens, length: 16, seed: 2 }), 3)
    const whole = made()
    const batches = Array.from({ length: 9 }, () => whole.next())
    const [before, after] = [made(), made()]
    for (let i = 0; i < 4; i++) expect(before.next()).toEqual(batches[i])
    after.restore(JSON.parse(JSON.stringify(before.state())))
    for (let i = 4; i < 9; i++) expect(after.next()).toEqual(batches[i])
    expect(() => after.restore({ step: 3 })).toThrow('no state of a batch source: {"step":3}')
  })

  it('refuses a text shorter than a row, and holds a part out', () => {
    expect(() => textRows({ tokens, length: 151 })).toThrow('the text has 151 tokens; a row needs 152')
    const held = tokenSlice(tokens, 20, 60)
    expect([...held.starts]).toEqual([0, 34])
    expect([...batchesAt(textRows({ tokens: held, length: 39, seed: null }), 0).targets].indexOf(-1)).toBe(33)
  })
})

describe('packing, mixing, shuffling', () => {
  it('packs every document once, none over a row, in hardly more rows than are needed', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 50 }), { minLength: 1, maxLength: 80 }), (lengths) => {
        const rows = packDocuments(lengths, 50)
        expect(rows.flat().sort((a, b) => a - b)).toEqual([...lengths.keys()])
        const sums = rows.map((row) => row.reduce((sum, index) => sum + (lengths[index] as number), 0))
        expect(Math.max(...sums)).toBeLessThanOrEqual(50)
        const least = Math.ceil(lengths.reduce((sum, own) => sum + own, 0) / 50)
        expect(rows.length).toBeLessThanOrEqual(
          Math.ceil((11 / 9) * Math.max(least, lengths.filter((own) => own > 25).length)) + 1,
        )
      }),
    )
    expect(() => packDocuments([3, 51], 50)).toThrow('document 1 has 51 tokens, a row 50')
  })

  it('lays packed documents side by side', () => {
    const documents = [{ tokens: [5, 6, 7], learn: [false, false, true] }, { tokens: [8, 9] }]
    const { inputs, targets, documents: ids } = batchesAt(packedRows({ documents, length: 6, padding: 1 }), 0)
    expect([...inputs]).toEqual([5, 6, 7, 8, 9, 1])
    expect([...targets]).toEqual([-1, 7, -1, 9, -1, -1])
    expect([...ids]).toEqual([0, 0, 0, 1, 1, 2])
  })

  it('mixes in the wanted proportions and leaves no row out', () => {
    const list = (from: number): Rows => ({
      length: 1,
      hasDocuments: false,
      fill: (index, row) => row.inputs.fill(from + index),
    })
    const rows = mixRows([
      { rows: list(0), share: 1 },
      { rows: list(1000), share: 2 },
      { rows: list(2000), share: 1 },
    ])
    const seen = Array.from({ length: 400 }, (_, index) => batchesAt(rows, index).inputs[0] as number)
    for (const [from, count] of [
      [0, 100],
      [1000, 200],
      [2000, 100],
    ] as const)
      expect(seen.filter((n) => n >= from && n < from + 1000)).toEqual(
        Array.from({ length: count }, (_, i) => from + i),
      )
    expect(() => mixRows([{ rows: list(0), share: 0 }])).toThrow('a share must be positive, got 0')
  })

  it('shuffles without losing one', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 3000 }), fc.nat(), (count, seed) => {
        const order = Array.from({ length: count }, (_, index) => shuffledIndex(count, seed)(index))
        expect(new Set(order).size).toBe(count)
        expect(Math.max(...order)).toBe(count - 1)
      }),
      { numRuns: 12 },
    )
    expect(Array.from({ length: 50 }, (_, i) => shuffledIndex(50, 1)(i))).not.toEqual([...Array(50).keys()])
  })
})

function batchesAt(rows: Rows, index: number) {
  const source = batchesOf(rows, 1)
  source.restore({ row: index })
  const { inputs, targets, documents = new Int32Array(rows.length) } = source.next()
  return { inputs, targets, documents }
}
