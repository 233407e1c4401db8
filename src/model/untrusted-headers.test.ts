import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { smallConfig, smallFiles, smallSources, smallTokenizer, smallWeights } from '../../test/files/small-model.ts'
import { openEngine } from '../llm/open-engine.ts'
import { exportGguf } from './export/export-gguf.ts'
import { bytesSource } from './files/byte-source.ts'
import { openFile } from './files/open-file.ts'
import { openCheckpoint } from './open-checkpoint.ts'
import { openCheckpointFromSources } from './open-sources.ts'
import { scoreMerges } from './tokenizers/score-merges.ts'

/** Opening must be refused as `format` with this message, at once and without allocating for what is announced. */
async function refused(changed: Readonly<Record<string, unknown>>, message: RegExp) {
  const sources = smallSources({ ...(await smallFiles()), ...changed })
  const before = process.cpuUsage()
  await expect(openCheckpointFromSources(sources)).rejects.toMatchObject({
    name: 'FoveaError',
    code: 'format',
    message: expect.stringMatching(message),
  })
  expect(process.cpuUsage(before).user).toBeLessThan(1e6)
}

const deep = (bracket: '[' | '{"a":') => bracket.repeat(1_000_000)

describe('a header is believed as far as the file goes', () => {
  it.each<[Record<string, unknown>, RegExp]>([
    [{ num_hidden_layers: 1e9 }, /config\.json: num_hidden_layers is 1000000000, .* has so many tensors: 11/],
    [{ num_hidden_layers: 12 }, /num_hidden_layers is 12, .* has so many tensors: 11/],
    [{ hidden_size: 2 ** 40 }, /hidden_size is 1099511627776, .* no tensor with a dimension above 8/],
    [{ head_dim: 2e9 }, /head_dim is 2000000000, /],
    [{ num_attention_heads: 2 ** 40, hidden_size: 8 }, /num_attention_heads is 1099511627776, /],
    [{ num_attention_heads: 0 }, /num_attention_heads must be a whole number from 1, got 0/],
    [{ num_key_value_heads: 1e12, num_attention_heads: 1e12 }, /is 1000000000000, /],
    [{ intermediate_size: 9_007_199_254_740_991 }, /intermediate_size is 9007199254740991, /],
    [{ vocab_size: 1e308 }, /vocab_size must be a whole number from 1/],
    [{ model_type: 'gpt2', n_layer: 1e9, n_embd: 4, n_head: 1 }, /n_layer is 1000000000, /],
    [{ model_type: 'gemma3', text_config: { ...smallConfig, num_hidden_layers: 1e9 } }, /num_hidden_layers is 1000/],
    [{ layer_types: [], num_hidden_layers: 8, model_type: 'qwen3' }, /layer_types has 0 entries for 8 layers/],
  ])('config.json with %o', (changed, message) => refused({ 'config.json': { ...smallConfig, ...changed } }, message))

  const { model } = smallTokenizer
  const named = (id: string) => [{ SpecialToken: { id, type_id: 0 } }, { Sequence: { id: 'A', type_id: 0 } }]
  it.each<[string, Record<string, unknown>, RegExp]>([
    ['an id of 4e9', { model: { ...model, vocab: { a: 0, b: 4e9 } } }, /model\.vocab: "b" 4000000000 is no id/],
    ['an id of 1.5', { model: { ...model, vocab: { a: 1.5 } } }, /model\.vocab: "a" 1\.5 is no id/],
    ['an id that is a text', { model: { ...model, vocab: { a: '0' } } }, /model\.vocab: "a" "0" is no id/],
    ['an id of -1', { added_tokens: [{ id: -1, content: 'x' }] }, /added_tokens\[0\]\.id -1 is no id/],
    [
      'an added id of 1e15',
      { added_tokens: [{ id: 1e15, content: 'x' }] },
      /added_tokens\[0\]\.id 1000000000000000 is/,
    ],
    ['an added token of no text', { added_tokens: [{ id: 1, content: 3 }] }, /added_tokens\[0\] must have a content/],
    ['added tokens of another kind', { added_tokens: { a: 1 } }, /added_tokens must be a list/],
    ['merges that are numbers', { model: { ...model, merges: [1, 2] } }, /model\.merges\[0\] is no pair of texts/],
    ['merges of two kinds', { model: { ...model, merges: [['a', 'b'], 'a b'] } }, /model\.merges\[1\] is no pair/],
    ['pairs of three', { model: { ...model, merges: [['a', 'b', 'c']] } }, /model\.merges\[0\] is no pair/],
    ['merges that are none', { model: { ...model, merges: 'a b' } }, /model\.merges must be a list/],
    [
      'a vocabulary of numbers',
      { model: { type: 'Unigram', vocab: [1, 2] } },
      /model\.vocab\[0\] must be a text and its/,
    ],
    ['no vocabulary', { model: { type: 'BPE', merges: [] } }, /model\.vocab must list tokens/],
    [
      'a template of ids that are none',
      { post_processor: { type: 'TemplateProcessing', single: named('x'), special_tokens: { x: { ids: [0, -1] } } } },
      /post_processor must name ids of tokens, got -1/,
    ],
    [
      'a template of a million tokens',
      {
        post_processor: {
          type: 'TemplateProcessing',
          single: Array(2000).fill(named('x')[0]),
          special_tokens: { x: { ids: Array(1000).fill(0) } },
        },
      },
      /post_processor\.single must be of at most 1024 tokens/,
    ],
    ['a model that is a text', { model: 'BPE' }, /model must be an object/],
  ])('tokenizer.json with %s', (_, changed, message) =>
    refused({ 'tokenizer.json': { ...smallTokenizer, ...changed } }, message),
  )

  it('brackets without end', async () => {
    for (const bracket of ['[', '{"a":'] as const) {
      const text = deep(bracket)
      await refused(
        { 'config.json': `{"model_type":${text}` },
        /config\.json is no JSON: brackets are more than 128 deep/,
      )
      await refused({ 'tokenizer.json': text }, /tokenizer\.json is no JSON: brackets are more than 128 deep/)
      const header = new TextEncoder().encode(text)
      const file = new Uint8Array(8 + header.byteLength)
      new DataView(file.buffer).setBigUint64(0, BigInt(header.byteLength), true)
      file.set(header, 8)
      await refused({ 'model.safetensors': file }, /the header is no JSON: brackets are more than 128 deep/)
    }
  })

  it('texts that are none', async () => {
    for (const name of ['config.json', 'tokenizer.json', 'tokenizer_config.json', 'generation_config.json'])
      await refused({ [name]: Uint8Array.of(0x7b, 0x22, 0xff, 0x22, 0x7d) }, new RegExp(`${name} is no UTF-8`))
  })

  it('positions that a file only claims: an engine that is asked for no context takes 2^20 of them', async () => {
    for (const positions of [1e9, 1e12, Number.MAX_SAFE_INTEGER]) {
      const config = { ...smallConfig, max_position_embeddings: positions }
      const files = smallSources({ ...(await smallFiles()), 'config.json': config })
      const checkpoint = await openCheckpointFromSources(files)
      expect(checkpoint.spec.maxPositions).toBe(positions)
      const engine = await openEngine(checkpoint, { device: 'wasm', deviceOptions: { wasm: { threads: 1 } } })
      expect(engine.contextLength).toBe(2 ** 20)
      expect(engine.memory.total).toBeLessThan(2 ** 24)
      await engine.close()
    }
  })

  it('scores of tokens of a megabyte', () => {
    const before = process.cpuUsage()
    const long = 'ab'.repeat(500_000)
    const tokens = ['a', 'b', 'ab', 'aba', long, `${long}a`]
    expect(scoreMerges(tokens, [0, 0, -1, -2, -3, -4])).toEqual([
      ['a', 'b'],
      ['ab', 'a'],
      [long, 'a'],
    ])
    expect(process.cpuUsage(before).user).toBeLessThan(1e6)
  })

  it('an index of a million shards, or of none', async () => {
    const { 'model.safetensors': _, ...rest } = await smallFiles()
    const index = { weight_map: Object.fromEntries(Array.from({ length: 1e6 }, (_, i) => [`t${i}`, `s${i}`])) }
    const name = 'model.safetensors.index.json'
    for (const [content, message] of [
      [index, /names s0, which is missing/],
      [{ weight_map: ['model.safetensors'] }, /no weight_map/],
      [{ weight_map: { a: '/etc/passwd' } }, /"\/etc\/passwd" is no file name/],
      [{ weight_map: { a: '..\\..\\x' } }, /is no file name/],
    ] as const)
      await expect(openCheckpointFromSources(smallSources({ ...rest, [name]: content }))).rejects.toThrow(message)
  })
})

describe('GGUF', () => {
  const scalar = { u32: 4, u64: 10 }
  /** The small model as GGUF, a key's value replaced by another of 4 bytes, or its type and 8 bytes. */
  async function withValue(key: string, value: number | bigint) {
    const folder = await mkdtemp(join(tmpdir(), 'fovea-untrusted-'))
    try {
      const checkpoint = await openCheckpointFromSources(smallSources(await smallFiles()))
      const path = join(folder, 'model.gguf')
      await exportGguf(checkpoint, path)
      await checkpoint.close()
      const source = await openFile(path)
      const bytes = (await source.read(0, source.size)).slice()
      await source.close()
      const at = new TextDecoder('latin1').decode(bytes).indexOf(key) + key.length
      const view = new DataView(bytes.buffer)
      if (typeof value === 'number') {
        view.setUint32(at + 4, value, true)
        return bytes
      }
      const longer = new Uint8Array(bytes.byteLength + 4)
      longer.set(bytes.subarray(0, at))
      longer.set(bytes.subarray(at + 8), at + 12)
      const wide = new DataView(longer.buffer)
      wide.setUint32(at, scalar.u64, true)
      wide.setBigUint64(at + 4, value, true)
      return longer
    } finally {
      await rm(folder, { recursive: true })
    }
  }

  it.each<[string, number | bigint, RegExp]>([
    ['llama.block_count', 4_000_000_000, /llama\.block_count is 4000000000, .* has so many tensors/],
    ['llama.block_count', 2n ** 63n, /llama\.block_count must be a whole number from 1, got "9223372036854775808"/],
    ['llama.attention.head_count', 0, /llama\.attention\.head_count must be a whole number from 1, got 0/],
    ['llama.embedding_length', 2 ** 31, /llama\.embedding_length is 2147483648/],
    ['llama.feed_forward_length', 2n ** 50n, /llama\.feed_forward_length is 1125899906842624/],
    ['llama.rope.dimension_count', 2 ** 30, /rope\.dimension_count .* turns 1073741824 elements/],
  ])('%s of %s', async (key, value, message) => {
    const bytes = await withValue(key, value)
    const before = process.cpuUsage()
    await expect(openCheckpointFromSources(bytesSource('model.gguf', bytes))).rejects.toMatchObject({
      code: 'format',
      message: expect.stringMatching(message),
    })
    expect(process.cpuUsage(before).user).toBeLessThan(1e6)
  })
})

it('a thousand models that do not open leave no file open', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'fovea-descriptors-'))
  try {
    const weights = await smallWeights()
    const contents: Readonly<Record<string, unknown>>[] = [
      { 'config.json': { ...smallConfig, num_hidden_layers: 1e9 } },
      { 'config.json': { ...smallConfig, hidden_size: 3 } },
      { 'config.json': '{' },
      { 'tokenizer.json': { model: 1 } },
      { 'tokenizer_config.json': { bos_token: 'none' } },
      { 'model.safetensors': weights.slice(0, -4) },
      { 'model.safetensors': new Uint8Array(3) },
      { 'generation_config.json': [] },
    ]
    const whole = await smallFiles()
    const folders = await Promise.all(
      contents.map(async (changed, i) => {
        const path = await mkdtemp(join(folder, `${i}-`))
        for (const [name, content] of Object.entries({ ...whole, ...changed })) {
          const text = typeof content === 'string' ? content : JSON.stringify(content)
          await writeFile(join(path, name), content instanceof Uint8Array ? content : text)
        }
        return path
      }),
    )
    const gguf = join(folder, 'broken.gguf')
    await writeFile(gguf, 'GGUF, not a model')
    const open = async (path: string) => expect(openCheckpoint(path)).rejects.toMatchObject({ code: 'format' })
    for (const path of [...folders, gguf]) await open(path)
    const before = (await readdir('/proc/self/fd')).length
    for (let i = 0; i < 1000; i++) await open([...folders, gguf][i % 9] ?? gguf)
    expect((await readdir('/proc/self/fd')).length).toBe(before)
  } finally {
    await rm(folder, { recursive: true })
  }
})
