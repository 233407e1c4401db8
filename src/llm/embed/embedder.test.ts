import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { smallConfigs, smallEncoder, unigramTokenizer, writeSources } from '../../../test/files/small-encoder.ts'
import { startModelServer } from '../../../test/setup/model-server.ts'
import { type Device, openDevice } from '../../device/index.ts'
import { exportGguf } from '../../model/export/export-gguf.ts'
import { bytesSource } from '../../model/files/byte-source.ts'
import { openGguf } from '../../model/files/gguf.ts'
import { type GgufTypedValue, writeGguf } from '../../model/files/write-gguf.ts'
import { openCheckpoint } from '../../model/open-checkpoint.ts'
import type { EmbedderOptions } from './embedder-options.ts'
import { openEmbedder } from './open-embedder.ts'

let device: Device
beforeAll(async () => {
  device = await openDevice('wasm', { wasm: { threads: 1 } })
})
afterAll(() => device.dispose())

const meanPooling = { pooling_mode_cls_token: false, pooling_mode_mean_tokens: true, pooling_mode_lasttoken: false }
const modules = (...types: readonly string[]) =>
  types.map((type, idx) => ({
    ...{ idx, name: `${idx}`, type: `sentence_transformers.models.${type}` },
    path: idx === 0 ? '' : `${idx}_${type}`,
  }))
/** what sentence-transformers writes beside a model */
const described = {
  'modules.json': modules('Transformer', 'Pooling', 'Normalize'),
  '1_Pooling/config.json': { word_embedding_dimension: 8, ...meanPooling, include_prompt: true },
}

const open = async (
  more: Readonly<Record<string, unknown>> = described,
  options: EmbedderOptions = {},
  config: Readonly<Record<string, unknown>> = smallConfigs.bert,
) => openEmbedder(await smallEncoder(config, { more }), { device, ...options })

const close = (one: ArrayLike<number> | undefined, other: ArrayLike<number> | undefined) => {
  expect(one?.length).toBe(other?.length)
  for (let i = 0; i < (one?.length ?? 0); i++) expect(one?.[i]).toBeCloseTo(other?.[i] as number, 5)
}

describe('vectors of texts', () => {
  it('are those of their tokens: WordPiece, with what stands around a text', async () => {
    const embedder = await open()
    const texts = ['The cats sat on the mat.', 'cat', '', '[SEP] sitting']
    // what a text spells out is no token of the model's
    const ids = [
      [2, 4, 5, 7, 8, 10, 4, 11, 12, 3],
      [2, 5, 3],
      [2, 3],
      [2, 1, 1, 1, 1, 3],
    ]
    const encoded = embedder.tokenizer.encode(texts[3] as string, { specialTokens: 'text' })
    expect(encoded).toEqual(ids[3])
    const [ofTexts, ofTokens] = [await embedder.embed(texts), await embedder.embed(ids)]
    expect(ofTexts).toHaveLength(4)
    ofTexts.forEach((vector, i) => {
      close(vector, ofTokens[i])
      expect(Math.hypot(...vector)).toBeCloseTo(1, 5)
    })
    expect(embedder).toMatchObject({ dimensions: 8, pooling: 'mean', normalize: true, maxTokens: 32 })
    await embedder.close()
  })

  it('are those of their tokens: Unigram', async () => {
    const embedder = await open(
      { ...described, 'tokenizer.json': unigramTokenizer },
      { pooling: 'cls' },
      smallConfigs.roberta,
    )
    // "▁c" + "at" is likelier than "▁cat"
    const [text, tokens] = await embedder.embed(['the cats', [0, 4, 5, 6, 9, 2]])
    close(text, tokens)
    expect(embedder).toMatchObject({ pooling: 'cls', maxTokens: 30 })
    await embedder.close()
  })

  it('are the same of a file whose norms have gamma and beta', async () => {
    const expected = await open()
    const [vector] = await expected.embed(['the cat'])
    await expected.close()
    const older = (name: string) =>
      name.replace(/LayerNorm\.weight$/, 'LayerNorm.gamma').replace(/LayerNorm\.bias$/, 'LayerNorm.beta')
    const embedder = await openEmbedder(await smallEncoder(smallConfigs.bert, { more: described, rename: older }), {
      device,
    })
    close((await embedder.embed(['the cat']))[0], vector)
    await embedder.close()
  })

  it('are of the last token for a decoder', async () => {
    const embedder = await open({ 'tokenizer.json': null }, { pooling: 'last', normalize: false }, smallConfigs.qwen3)
    const [whole, other, end] = await embedder.embed([
      [4, 5, 6, 7],
      [8, 5, 6, 7],
      [4, 5, 6, 7, 9],
    ])
    expect(other).not.toEqual(whole)
    expect(end).not.toEqual(whole)
    await embedder.close()
  })

  it('begin with a prompt: of the call, by a name of the file, or its default', async () => {
    const prompts = { prompts: { query: 'query: ', document: '' }, default_prompt_name: 'query' }
    const embedder = await open({ ...described, 'config_sentence_transformers.json': prompts })
    const [expected] = await embedder.embed([[2, 13, 14, 5, 3]])
    for (const options of [{}, { promptName: 'query' }, { prompt: 'query: ' }])
      close((await embedder.embed(['cat'], options))[0], expected)
    close((await embedder.embed(['cat'], { promptName: 'document' }))[0], (await embedder.embed([[2, 5, 3]]))[0])
    await expect(embedder.embed(['cat'], { promptName: 'querry' })).rejects.toThrow(
      /^embedder\.embed: promptName is "querry", no prompt of the model; did you mean query\?/,
    )
    await expect(embedder.embed(['cat'], { promptName: 'query', prompt: '' })).rejects.toThrow(/choose one/)
    await embedder.close()
  })

  it('are cut to dimensions and divided by their length as the options say', async () => {
    const raw = await open(described, { normalize: false })
    const [whole] = await raw.embed(['cat'])
    await raw.close()
    const short = await open(described, { dimensions: 3 })
    const [cut] = await short.embed(['cat'])
    const first = whole?.slice(0, 3) as Float32Array
    close(
      cut,
      first.map((x) => x / Math.hypot(...first)),
    )
    expect(short.dimensions).toBe(3)
    await short.close()
    const plain = await open({ ...described, 'modules.json': modules('Transformer', 'Pooling') })
    close((await plain.embed(['cat']))[0], whole)
    expect(plain.normalize).toBe(false)
    await plain.close()
  })

  it('are refused for texts that are too long, or cut off at their end', async () => {
    const files = { ...described, 'sentence_bert_config.json': { max_seq_length: 6, do_lower_case: false } }
    const strict = await open(files)
    await expect(strict.embed(['cat', 'the cat sat on the mat'])).rejects.toMatchObject({
      code: 'capacity',
      message: expect.stringMatching(/texts\[1\] has 8 tokens, at most 6 are taken/),
    })
    const [expected] = await strict.embed([[2, 4, 5, 8, 10, 3]])
    await strict.close()
    const cutting = await open(files, { truncate: true })
    close((await cutting.embed(['the cat sat on the mat']))[0], expected)
    await cutting.close()
    const longer = await open(files, { maxTokens: 8 })
    await longer.embed(['the cat sat on the mat'])
    await longer.close()
  })

  it('come step by step, and stop when the signal says so', async () => {
    const embedder = await open(described, { maxTokens: 8, batchTokens: 8 })
    const texts = Array.from({ length: 5 }, () => 'the cat sat')
    const seen: number[] = []
    await embedder.embed(texts, { onProgress: (done) => seen.push(done) })
    expect(seen).toEqual([1, 2, 3, 4, 5])
    const stop = new AbortController()
    const onProgress = () => stop.abort()
    await expect(embedder.embed(texts, { signal: stop.signal, onProgress })).rejects.toMatchObject({
      code: 'cancelled',
      message: expect.stringContaining('after 1 of 5 texts'),
    })
    expect(await embedder.embed([])).toEqual([])
    // what runs ends first
    const running = embedder.embed(texts)
    await Promise.all([embedder.close(), embedder.close()])
    expect(await running).toHaveLength(5)
    await expect(embedder.embed(['cat'])).rejects.toMatchObject({ code: 'disposed' })
  })
})

describe('a model', () => {
  const files = { ...described, 'config_sentence_transformers.json': { prompts: { query: 'query: ' } } }
  let folder = ''
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'fovea-embed-'))
    await writeSources(join(folder, 'maker', 'model'), await smallEncoder(smallConfigs.bert, { more: files }))
  })
  afterAll(() => rm(folder, { recursive: true }))

  it('is the same from a folder, the Hub and an address, with all that says how vectors are made', async () => {
    const written = join(folder, 'maker', 'model')
    const names = [...Object.keys(files), 'config.json', 'tokenizer.json', 'model.safetensors']
    const contents = await Promise.all(names.map((name) => readFile(join(written, name))))
    const server = await startModelServer(
      Object.fromEntries(names.map((name, i) => [`/maker/model/${name}`, contents[i] as Uint8Array])),
    )
    const cacheFolder = join(folder, 'cache')
    const expected = await open(files)
    const [vector] = await expected.embed(['the cat'], { promptName: 'query' })
    await expected.close()
    try {
      for (const [model, options] of [
        [written, {}],
        ['hf:maker/model', { hubUrl: server.origin, cacheFolder }],
        [`${server.origin}/maker/model/`, { cacheFolder }],
      ] as const) {
        const embedder = await openEmbedder(model, { device, ...options })
        expect(embedder).toMatchObject({ pooling: 'mean', normalize: true })
        close((await embedder.embed(['the cat'], { promptName: 'query' }))[0], vector)
        await embedder.close()
      }
    } finally {
      await server.close()
    }
  })
})

describe('a decoder in a GGUF file', () => {
  let folder = ''
  let path = ''
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'fovea-embed-gguf-'))
    path = join(folder, 'model.gguf')
    const checkpoint = await openCheckpoint(
      await smallEncoder(smallConfigs.qwen3, { more: { 'tokenizer.json': null } }),
    )
    await exportGguf(checkpoint, path)
    await checkpoint.close()
  })
  afterAll(() => rm(folder, { recursive: true }))

  /** The file with one more number in its metadata. */
  const withKey = async (key: string, value: number) => {
    const bytes = await readFile(path)
    const table = await openGguf(bytesSource('model.gguf', bytes))
    const metadata = new Map<string, GgufTypedValue>()
    for (const [known, of] of table.metadata)
      metadata.set(
        known,
        typeof of === 'number'
          ? { type: Number.isInteger(of) ? 'u32' : 'f32', value: of }
          : typeof of === 'boolean'
            ? { type: 'bool', value: of }
            : { type: 'string', value: String(of) },
      )
    metadata.set(key, { type: 'u32', value })
    const chunks: Uint8Array[] = []
    await writeGguf(
      { write: async (chunk) => void chunks.push(chunk.slice()) },
      metadata,
      table.names().map((tensor) => {
        const { dtype, shape, read } = table.get(tensor)
        return { name: tensor, dtype: dtype as 'f32', shape, read }
      }),
    )
    return bytesSource('model.gguf', new Uint8Array(Buffer.concat(chunks)))
  }

  it('gives the vectors of the folder that it was written from, pooled as it says', async () => {
    const text = [4, 5, 6, 7]
    const options = { device, pooling: 'last' } as const
    const sources = await smallEncoder(smallConfigs.qwen3, { more: { 'tokenizer.json': null } })
    const expected = await openEmbedder(sources, options)
    const [vector] = await expected.embed([text])
    await expected.close()
    const silent = await openEmbedder(path, options)
    close((await silent.embed([text]))[0], vector)
    await silent.close()
    const said = await openEmbedder(await withKey('qwen3.pooling_type', 3), { device })
    expect(said).toMatchObject({ pooling: 'last', normalize: true })
    close((await said.embed([text]))[0], vector)
    await said.close()
  })

  it('is refused where it says no pooling, or one that is not computed', async () => {
    await expect(openEmbedder(path, { device })).rejects.toThrow(/says no pooling/)
    await expect(openEmbedder(await withKey('qwen3.pooling_type', 4), { device })).rejects.toMatchObject({
      code: 'unsupported',
      message: expect.stringMatching(/qwen3\.pooling_type is 4; 1 \(mean\), 2 \(cls\) and 3 \(last\)/),
    })
  })
})

describe('what is refused', () => {
  it.each([
    [
      'a pooling that no file names',
      {},
      {},
      'argument',
      /sources says no pooling .* option pooling takes mean, cls or last/,
    ],
    [
      'a pooling that is not computed',
      { ...described, '1_Pooling/config.json': { ...meanPooling, pooling_mode_max_tokens: true } },
      {},
      'unsupported',
      /1_Pooling\/config\.json: pooling_mode_… says mean_tokens and max_tokens/,
    ],
    [
      'a pooling that is no flag',
      { ...described, '1_Pooling/config.json': { pooling_mode_mean_tokens: 'yes' } },
      {},
      'format',
      /1_Pooling\/config\.json: pooling_mode_mean_tokens must be true or false, got "yes"/,
    ],
    [
      'a pooling that is not there',
      { 'modules.json': modules('Transformer', 'Pooling') },
      {},
      'format',
      /modules\.json names 1_Pooling\/config\.json, which is missing/,
    ],
    [
      'a step that is not computed',
      { ...described, 'modules.json': modules('Transformer', 'Pooling', 'Dense') },
      {},
      'unsupported',
      /modules\.json: \[2\]\.type is "sentence_transformers\.models\.Dense"/,
    ],
    [
      'a path that leads elsewhere',
      { 'modules.json': [{ type: 'a.Transformer', path: '../x' }] },
      {},
      'format',
      /modules\.json: \[0\]\.path must name a folder beside it, got "\.\.\/x"/,
    ],
    ['what is no list', { 'modules.json': {} }, {}, 'format', /modules\.json: must be a list/],
    [
      'a prompt that there is not',
      { ...described, 'config_sentence_transformers.json': { prompts: {}, default_prompt_name: 'query' } },
      {},
      'format',
      /config_sentence_transformers\.json: default_prompt_name is "query", which is none/,
    ],
    ['more dimensions than there are', described, { dimensions: 9 }, 'argument', /dimensions must be .* 1 to 8, got 9/],
    ['more tokens than positions', described, { maxTokens: 33 }, 'argument', /maxTokens must be .* 1 to 32, got 33/],
    ['no number of tokens', described, { batchTokens: 0.5 }, 'argument', /batchTokens must be a whole number/],
    ['what is no flag', described, { normalize: 1 as never }, 'argument', /normalize must be true or false/],
  ])('%s', async (_, more, options, code, message) => {
    const before = device.memory.allocated
    await expect(open(more, options)).rejects.toMatchObject({
      name: 'FoveaError',
      code,
      message: expect.stringMatching(message),
    })
    expect(device.memory.allocated).toBe(before)
  })

  it.each([
    [{ is_decoder: true }, 'unsupported', /config\.json: is_decoder is true/],
    [{ position_embedding_type: 'relative_key' }, 'unsupported', /position_embedding_type is "relative_key"/],
    [{ hidden_act: 'geglu' }, 'format', /hidden_act is the unknown activation "geglu"/],
    [{ surprise: 'yes' }, 'unsupported', /config\.json: surprise is "yes", no setting of bert/],
    [{ model_type: 'deberta' }, 'format', /model_type is the unknown architecture "deberta"; known are bert, roberta/],
    [{ type_vocab_size: 3 }, 'format', /embeddings\.token_type_embeddings\.weight must be \[3, 8\], got \[2, 8\]/],
    [{ type_vocab_size: 17 }, 'format', /type_vocab_size is 17; at most 16/],
    [{ num_hidden_layers: 3 }, 'format', /the tensor encoder\.layer\.2\.attention\.self\.query\.weight is missing/],
  ])('a configuration with %j', async (differs, code, message) => {
    const sources = await smallEncoder(smallConfigs.bert, { more: described })
    const { 'config.json': config } = await smallEncoder(smallConfigs.bert, {
      more: { 'config.json': { ...smallConfigs.bert, ...differs } },
    })
    const opened = openEmbedder({ ...sources, ...(config && { 'config.json': config }) }, { device })
    await expect(opened).rejects.toMatchObject({ code, message: expect.stringMatching(message) })
  })

  it('texts that are none, and tokens that the model has no row for', async () => {
    const embedder = await open()
    await expect(embedder.embed('cat' as never)).rejects.toThrow(/texts must be a list, got string/)
    await expect(embedder.embed([3 as never])).rejects.toThrow(/texts\[0\] must be a text or token ids, got number/)
    await expect(embedder.embed([[]])).rejects.toThrow(/texts\[0\] has no tokens/)
    await expect(embedder.embed([[2, 24]])).rejects.toThrow(/texts\[0\] has the token 24 at 1; tokens go from 0 to 23/)
    await expect(embedder.embed(['cat'], { promt: 'a' } as never)).rejects.toThrow(/did you mean prompt\?/)
    await embedder.close()
  })

  it('a device that has no room, before anything is allocated', async () => {
    const small = await openDevice('wasm', { wasm: { threads: 1, maxBytes: 2 ** 20 } })
    const sources = await smallEncoder(smallConfigs.bert, { more: described })
    await expect(openEmbedder(sources, { device: small, batchTokens: 100_000 })).rejects.toMatchObject({
      code: 'limit',
      message: expect.stringMatching(/a step of 100000 tokens needs a buffer x of 3200000 bytes/),
    })
    const again = await smallEncoder(smallConfigs.bert, { more: described })
    await expect(openEmbedder(again, { device: small, batchTokens: 8_000 })).rejects.toMatchObject({
      code: 'memory',
      message: expect.stringMatching(
        /bytes of weights and \d+ for steps of 8000 tokens, the wasm device has 1048576 left/,
      ),
    })
    expect(small.memory.allocated).toBe(0)
    small.dispose()
  })

  it('a folder without a tokenizer, when texts are given', async () => {
    const embedder = await open({ ...described, 'tokenizer.json': null })
    await expect(embedder.embed(['cat'])).rejects.toMatchObject({ code: 'unsupported' })
    expect(await embedder.embed([[2, 5, 3]])).toHaveLength(1)
    await embedder.close()
  })
})
