import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { DecoderSpec } from '../../src/model/decoder-spec.ts'
import { tokenizerMetadata } from '../../src/model/export/tokenizer-metadata.ts'
import { bytesSource } from '../../src/model/files/byte-source.ts'
import { openGguf } from '../../src/model/files/gguf.ts'
import { writeGguf } from '../../src/model/files/write-gguf.ts'
import type { Tokenizer } from '../../src/model/tokenizer.ts'
import { ggufTokenizer } from '../../src/model/tokenizers/gguf-tokenizer.ts'
import { jsonTokenizer } from '../../src/model/tokenizers/json-tokenizer.ts'
import { askLlamaCppTexts, hasLlamaCpp } from './llama-cpp.ts'
import {
  publishedDefinition,
  type RecordedTokens,
  recordedTexts,
  recordedTokens,
  type Vocabulary,
  vocabularies,
} from './published-vocabularies.ts'

const notInstalled =
  'hardware: test/peers is not installed: npm --prefix test/peers ci --ignore-scripts --omit=optional'
const texts = recordedTexts()

let folder = ''
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'fovea-vocabularies-'))
})
afterAll(() => rm(folder, { recursive: true }))

function published(name: Vocabulary): Tokenizer | null {
  const definition = publishedDefinition(name)
  const settings = { file: name, bosToken: null, eosTokens: [], addBos: null, addEos: null, chatTemplate: null }
  return definition && jsonTokenizer(definition, settings)
}

const encodeAll = (tokenizer: Tokenizer, special: boolean) => texts.map((text) => tokenizer.encode(text, { special }))
const decodeAll = (tokenizer: Tokenizer, { ids }: RecordedTokens) =>
  ids.map((each) => tokenizer.decode(each, { skipSpecial: false }))

/** A GGUF file with a vocabulary and nothing else. */
async function vocabularyFile(tokenizer: Tokenizer): Promise<Uint8Array<ArrayBuffer>> {
  const spec = { vocabSize: tokenizer.vocabSize } as DecoderSpec
  const metadata = tokenizerMetadata(tokenizer, spec)
  metadata.set('general.architecture', { type: 'string', value: 'llama' })
  metadata.set('llama.context_length', { type: 'u32', value: 64 })
  const parts: Uint8Array[] = []
  await writeGguf({ write: async (bytes) => void parts.push(bytes.slice()) }, metadata, [])
  return new Uint8Array(Buffer.concat(parts))
}

async function throughGguf(bytes: Uint8Array<ArrayBuffer>): Promise<Tokenizer> {
  const table = await openGguf(bytesSource('vocabulary.gguf', bytes))
  return ggufTokenizer(table, { vocabSize: 0, bosToken: null, eosTokens: [] } as unknown as DecoderSpec)
}

/** Which texts come out otherwise, with both, so that a failure shows them. */
const differences = (got: readonly (readonly number[])[], wanted: readonly (readonly number[])[]) =>
  texts.flatMap((text, i) => {
    const [ours, theirs] = [got[i]?.join(), wanted[i]?.join()]
    return ours === theirs || i >= wanted.length ? [] : [{ i, text, ours, theirs }]
  })

const normalises = (form: string) => (text: string) => text.normalize(form) !== text
/** its expression of GPT-4o's words leaves out marks (\\p{M}), which Devanagari and decomposed letters have */
const marks = (_: string, i: number) => [17, 439, 597].includes(i)
/** Texts that llama.cpp cuts otherwise than the tokenizer.json, each for a reason that is its own. */
const knownOtherwise: Partial<Record<Vocabulary, (text: string, i: number) => boolean>> = {
  // it has no normaliser
  claude: normalises('NFKC'),
  // nor here; and a token called "</s>" it takes for one that ends texts, which Qwen's is not
  qwen3: (text, i) => normalises('NFC')(text) || i === 52,
  gpt4o: marks,
  gptoss: marks,
}

/** The same where spelled special tokens are text: Gemma's token "</s>" is no special one, llama.cpp takes it for one by its name. */
const plainOtherwise: Partial<Record<Vocabulary, number>> = { gemma3: 52 }

describe.each(vocabularies)('the vocabulary of %s', (name) => {
  // opened once: it is what takes time
  let tokenizer: Tokenizer | null = null
  let again: Tokenizer | null = null
  const path = () => join(folder, `${name}.gguf`)
  beforeAll(async () => {
    tokenizer = published(name)
    if (!tokenizer) return
    const bytes = await vocabularyFile(tokenizer)
    await writeFile(path(), bytes)
    again = await throughGguf(bytes)
  }, 120_000)

  it('gives the recorded tokens and texts', async (context) => {
    if (!tokenizer) return context.skip(notInstalled)
    const recorded = recordedTokens(name)
    expect(recorded.ids).toHaveLength(600)
    expect(differences(encodeAll(tokenizer, false), recorded.ids)).toEqual([])
    expect(differences(encodeAll(tokenizer, true), recorded.withSpecial)).toEqual([])
    expect(decodeAll(tokenizer, recorded)).toEqual(recorded.decoded.map((text, i) => text ?? texts[i]))
    const sliced = await tokenizer.encodeAsync(texts.join(''), { special: false })
    expect(sliced).toEqual(tokenizer.encode(texts.join(''), { special: false }))
  })

  it('gives them from a GGUF file too', (context) => {
    if (!again) return context.skip(notInstalled)
    const recorded = recordedTokens(name)
    expect(differences(encodeAll(again, false), recorded.ids)).toEqual([])
    expect(decodeAll(again, recorded)).toEqual(recorded.decoded.map((text, i) => text ?? texts[i]))
  })

  it('gives llama.cpp the same tokens, but for what it is known to do otherwise', async (context) => {
    if (!hasLlamaCpp() || !tokenizer) return context.skip(notInstalled)
    const [judged] = await askLlamaCppTexts([{ path: path(), texts }])
    const known = knownOtherwise[name] ?? (() => false)
    const found = differences(judged?.ids ?? [], recordedTokens(name).ids).map(({ i }) => i)
    expect(found).toEqual(texts.flatMap((text, i) => (known(text, i) ? [i] : [])))
    // and with what spells special tokens as plain text
    const plain = texts.map((text) => tokenizer?.encode(text, { special: false, specialTokens: 'text' }) ?? [])
    const foundPlain = differences(judged?.plain ?? [], plain)
    const unknown = foundPlain.filter(({ text, i }) => !known(text, i)).map(({ i }) => i)
    expect(unknown).toEqual([plainOtherwise[name] ?? []].flat())
  }, 120_000)
})
