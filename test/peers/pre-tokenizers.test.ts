import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import type { DecoderSpec } from '../../src/model/decoder-spec.ts'
import { tokenizerMetadata } from '../../src/model/export/tokenizer-metadata.ts'
import { bytesSource } from '../../src/model/files/byte-source.ts'
import { openGguf } from '../../src/model/files/gguf.ts'
import { writeGguf } from '../../src/model/files/write-gguf.ts'
import { ggufTokenizer } from '../../src/model/tokenizers/gguf-tokenizer.ts'
import { jsonTokenizer } from '../../src/model/tokenizers/json-tokenizer.ts'
import { askLlamaCppTexts, hasLlamaCpp } from './llama-cpp.ts'
import { publishedDefinition, recordedTexts } from './published-vocabularies.ts'

/** Ways of cutting a text by the names that GGUF files have, of architectures whose vocabularies no package has. */
const names = ['hunyuan-dense', 'minimax-m2', 'seed-coder', 'bloom', 'falcon', 'starcoder', 'command-r', 'stablelm2']

/** its expression of words with capitals leaves out marks (\\p{M}), which Devanagari and decomposed letters have */
const marks = [17, 439, 597]
/** it has no normaliser, which these models have */
const composing = (name: string, text: string) => name === 'command-r' && text.normalize('NFC') !== text

let folder = ''
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'fovea-cuts-'))
})
afterAll(() => rm(folder, { recursive: true }))

it('a text is cut by each name as llama.cpp cuts it', { timeout: 120_000 }, async (context) => {
  const definition = publishedDefinition('claude')
  if (!definition || !hasLlamaCpp())
    return context.skip('test/peers is not installed: npm --prefix test/peers ci --ignore-scripts --omit=optional')
  const ends = { bosToken: null, eosTokens: [], addBos: null, addEos: null, chatTemplate: null }
  // files know of no normaliser but by name
  const tokenizer = jsonTokenizer({ ...definition, normalizer: null }, { file: 'claude', ...ends })
  const texts = recordedTexts()
  const jobs = []
  const ours: (readonly number[])[][] = []
  for (const name of names) {
    const metadata = tokenizerMetadata(tokenizer, { vocabSize: tokenizer.vocabSize } as DecoderSpec)
    metadata.delete('tokenizer.huggingface.json')
    metadata.set('general.architecture', { type: 'string', value: 'llama' })
    metadata.set('llama.context_length', { type: 'u32', value: 64 })
    metadata.set('tokenizer.ggml.pre', { type: 'string', value: name })
    const parts: Uint8Array[] = []
    await writeGguf({ write: async (bytes) => void parts.push(bytes.slice()) }, metadata, [])
    const bytes = new Uint8Array(Buffer.concat(parts))
    const table = await openGguf(bytesSource('cuts.gguf', bytes))
    const again = ggufTokenizer(table, { vocabSize: 0, bosToken: null, eosTokens: [] } as unknown as DecoderSpec)
    ours.push(texts.map((text) => again.encode(text, { special: false })))
    const path = join(folder, `${name}.gguf`)
    await writeFile(path, bytes)
    jobs.push({ path, texts })
  }
  // the names are told apart by what comes out
  expect(new Set(ours.map((each) => JSON.stringify(each))).size).toBeGreaterThanOrEqual(6)
  const judged = await askLlamaCppTexts(jobs)
  for (const [n, name] of names.entries()) {
    const otherwise = texts.flatMap((text, i) => {
      if ((name === 'minimax-m2' && marks.includes(i)) || composing(name, text)) return []
      const [got, wanted] = [ours[n]?.[i]?.join(), judged[n]?.plain[i]?.join()]
      return got === wanted ? [] : [{ i, text, got, wanted }]
    })
    expect(otherwise, name).toEqual([])
  }
})
