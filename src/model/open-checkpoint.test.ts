import { existsSync } from 'node:fs'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import {
  smallConfig as config,
  smallWeights as safetensors,
  smallShapes as shapes,
  smallFiles,
  smallSources,
  smallSources as sources,
  smallTokenizer as tokenizer,
} from '../../test/files/small-model.ts'
import { weightShapes } from './architectures/weight-shapes.ts'
import type { Checkpoint } from './checkpoint.ts'
import { openFile } from './files/open-file.ts'
import { openSafetensors } from './files/safetensors.ts'
import { openCheckpoint } from './open-checkpoint.ts'
import { openCheckpointFromSources } from './open-sources.ts'

const parity = '../shared/golden/hf'
const folders = [
  'gemma2',
  'gemma3',
  'gpt2',
  'llama-gqa',
  'llama3-rope',
  'mistral-window',
  'neox',
  'olmo2',
  'phi3-fused',
  'qwen2-bias',
  'qwen3-qknorm',
  'smollm3',
]
const noParity = 'hardware: ../shared/golden is not beside the project'

/** The floats of a matrix of f32. */
async function floats(checkpoint: Checkpoint, name: string): Promise<Float32Array> {
  const { dtype, bytes } = await checkpoint.matrix(name)
  expect(dtype).toBe('f32')
  return new Float32Array(bytes.slice().buffer)
}

/** A tensor of the file, untouched. */
async function stored(folder: string, name: string): Promise<Float32Array> {
  const table = await openSafetensors(await openFile(`${parity}/${folder}/model.safetensors`))
  const bytes = await table.get(name).read()
  await table.close()
  return new Float32Array(bytes.slice().buffer)
}

it.each(['pytorch_model.bin', 'pytorch_model.bin.index.json', 'consolidated.00.pth'])(
  'weights in %s are refused, with how to convert them',
  async (name) => {
    const { 'model.safetensors': _, ...files } = await smallFiles()
    const opened = openCheckpointFromSources(smallSources({ ...files, [name]: new Uint8Array(8) }))
    await expect(opened).rejects.toMatchObject({
      code: 'unsupported',
      message: expect.stringMatching(
        /is a Python pickle, which is not read; convert it to model\.safetensors: python -c/,
      ),
    })
  },
)

describe('the parity folders', () => {
  for (const folder of folders)
    it(`${folder}: every weight has its shape, and all bytes are used once`, async (context) => {
      if (!existsSync(parity)) return context.skip(noParity)
      const checkpoint = await openCheckpoint(`${parity}/${folder}`)
      const config = JSON.parse(await readFile(`${parity}/${folder}/config.json`, 'utf8'))
      expect(checkpoint.spec.layers).toHaveLength(config.num_hidden_layers ?? config.n_layer)
      expect(checkpoint.spec).toMatchObject({ vocabSize: 128, hiddenSize: 64, bosToken: 1, eosTokens: [2] })
      let bytes = 0
      for (const [name, shape] of weightShapes(checkpoint.spec)) {
        expect(checkpoint.has(name)).toBe(true)
        if (shape.length === 1) {
          const vector = await checkpoint.vector(name)
          expect(vector).toHaveLength(shape[0] ?? 0)
          bytes += vector.byteLength
          continue
        }
        const matrix = await checkpoint.matrix(name)
        expect([matrix.rows, matrix.cols], name).toEqual(shape)
        expect(matrix.bytes.byteLength, name).toBe(4 * matrix.rows * matrix.cols)
        expect(checkpoint.matrixInfo(name)).toEqual({ dtype: 'f32', rows: matrix.rows, cols: matrix.cols })
        bytes += matrix.bytes.byteLength
      }
      expect(bytes).toBe(checkpoint.byteLength)
      // all that the file holds, apart from its header
      const file = await readFile(`${parity}/${folder}/model.safetensors`)
      expect(bytes).toBe(file.byteLength - 8 - Number(file.readBigUInt64LE()))
      await checkpoint.close()
    })

  it('phi3: rows of qkv_proj and gate_up_proj', async (context) => {
    if (!existsSync(parity)) return context.skip(noParity)
    const checkpoint = await openCheckpoint(`${parity}/phi3-fused`)
    const qkv = await stored('phi3-fused', 'model.layers.1.self_attn.qkv_proj.weight')
    expect(await floats(checkpoint, 'layers.1.attention.query')).toEqual(qkv.subarray(0, 64 * 64))
    expect(await floats(checkpoint, 'layers.1.attention.key')).toEqual(qkv.subarray(64 * 64, 96 * 64))
    expect(await floats(checkpoint, 'layers.1.attention.value')).toEqual(qkv.subarray(96 * 64))
    const gateUp = await stored('phi3-fused', 'model.layers.2.mlp.gate_up_proj.weight')
    expect(await floats(checkpoint, 'layers.2.mlp.gate')).toEqual(gateUp.subarray(0, 112 * 64))
    expect(await floats(checkpoint, 'layers.2.mlp.up')).toEqual(gateUp.subarray(112 * 64))
    await checkpoint.close()
  })

  it('gpt_neox: query_key_value head by head, weights and biases', async (context) => {
    if (!existsSync(parity)) return context.skip(noParity)
    const checkpoint = await openCheckpoint(`${parity}/neox`)
    const weight = await stored('neox', 'gpt_neox.layers.0.attention.query_key_value.weight')
    const bias = await stored('neox', 'gpt_neox.layers.0.attention.query_key_value.bias')
    for (const [part, name] of ['query', 'key', 'value'].entries()) {
      const matrix = await floats(checkpoint, `layers.0.attention.${name}`)
      const vector = await checkpoint.vector(`layers.0.attention.${name}.bias`)
      for (let head = 0; head < 4; head++)
        for (let d = 0; d < 16; d++) {
          const from = (head * 3 + part) * 16 + d
          expect(vector[head * 16 + d]).toBe(bias[from])
          const row = (head * 16 + d) * 64
          expect(matrix.subarray(row, row + 64)).toEqual(weight.subarray(from * 64, from * 64 + 64))
        }
    }
    await checkpoint.close()
  })

  it('gpt2: matrices stored [inputs, outputs] are turned', async (context) => {
    if (!existsSync(parity)) return context.skip(noParity)
    const checkpoint = await openCheckpoint(`${parity}/gpt2`)
    const attention = await stored('gpt2', 'transformer.h.2.attn.c_attn.weight')
    const value = await floats(checkpoint, 'layers.2.attention.value')
    const down = await stored('gpt2', 'transformer.h.2.mlp.c_proj.weight')
    const turned = await floats(checkpoint, 'layers.2.mlp.down')
    for (const [output, input] of [
      [0, 0],
      [5, 60],
      [63, 1],
    ] as const) {
      expect(value[output * 64 + input]).toBe(attention[input * 192 + 128 + output])
      expect(turned[output * 256 + input]).toBe(down[input * 64 + output])
    }
    const bias = await stored('gpt2', 'transformer.h.2.attn.c_attn.bias')
    expect(await checkpoint.vector('layers.2.attention.key.bias')).toEqual(bias.subarray(64, 128))
    await checkpoint.close()
  })

  it('a model without a tokenizer runs on token ids and refuses texts', async (context) => {
    if (!existsSync(parity)) return context.skip(noParity)
    const { tokenizer, close } = await openCheckpoint(`${parity}/llama-gqa`)
    expect(tokenizer).toMatchObject({ vocabSize: 128, bosToken: 1, eosTokens: [2], hasChatTemplate: false })
    expect(() => tokenizer.encode('text')).toThrow(expect.objectContaining({ code: 'unsupported' }))
    expect(() => tokenizer.encode('text')).toThrow(/llama-gqa/)
    expect(() => tokenizer.applyChatTemplate([])).toThrow(expect.objectContaining({ code: 'unsupported' }))
    expect(tokenizer.decode([3, 4])).toBe('')
    await close()
  })
})

type Files = Record<string, unknown>

describe('files of a model', () => {
  let whole: Uint8Array
  let files: Files
  let folder: string
  beforeAll(async () => {
    whole = await safetensors(shapes)
    files = { 'config.json': config, 'tokenizer.json': tokenizer, 'model.safetensors': whole }
    folder = await mkdtemp(join(tmpdir(), 'fovea-model-'))
  })
  afterAll(() => rm(folder, { recursive: true, force: true }))

  it('open from sources, from a folder and from shards alike', async () => {
    const first = await openCheckpointFromSources(sources(files))
    for (const [name, content] of Object.entries(files))
      await writeFile(join(folder, name), content instanceof Uint8Array ? content : JSON.stringify(content))
    const second = await openCheckpoint(folder)
    expect(second.fingerprint).toBe(first.fingerprint)
    expect(second.spec).toEqual(first.spec)
    const names = Object.keys(shapes)
    const pick = (from: number, to: number) =>
      Object.fromEntries(names.slice(from, to).map((name) => [name, shapes[name] ?? []]))
    const third = await openCheckpointFromSources(
      sources({
        'config.json': config,
        'a.safetensors': await safetensors(pick(0, 5)),
        'b.safetensors': await safetensors(pick(5, 11)),
        'model.safetensors.index.json': {
          weight_map: Object.fromEntries(names.map((name, i) => [name, i < 5 ? 'a.safetensors' : 'b.safetensors'])),
        },
      }),
    )
    expect(third.byteLength).toBe(first.byteLength)
    expect((await third.matrix('layers.0.attention.query')).bytes).toEqual(
      (await first.matrix('layers.0.attention.query')).bytes,
    )
    expect(first.tokenizer.encode('ab<end>a')).toEqual([0, 2, 1, 0])
    await Promise.all([first.close(), second.close(), third.close()])
  })

  it('tokens that end a text come from generation_config.json and the tokenizer', async () => {
    const more = { ...files, 'generation_config.json': { eos_token_id: [1, 2] } }
    const checkpoint = await openCheckpointFromSources(
      sources({ ...more, 'tokenizer_config.json': { eos_token: { content: '<end>' } } }),
    )
    expect(checkpoint.spec.eosTokens).toEqual([1, 2])
    expect(checkpoint.tokenizer.eosTokens).toEqual([1, 2])
    await checkpoint.close()
  })

  it('another rotary scaling or another weight is another fingerprint', async () => {
    const open = async (changed: Files) =>
      (await openCheckpointFromSources(sources({ ...files, ...changed }))).fingerprint
    const plain = await open({})
    expect(await open({})).toBe(plain)
    const scaled = { ...config, rope_scaling: { type: 'linear', factor: 2 } }
    expect(await open({ 'config.json': scaled })).not.toBe(plain)
    const other = whole.slice()
    other[other.byteLength - 1] = 0x40
    expect(await open({ 'model.safetensors': other })).not.toBe(plain)
  })

  const without = (name: string) => Object.fromEntries(Object.entries(shapes).filter(([key]) => key !== name))
  const refusals: readonly (readonly [string, () => Promise<Files> | Files, RegExp])[] = [
    ['no config', () => ({ 'model.safetensors': whole }), /sources has no config\.json/],
    ['config that is no JSON', () => ({ ...files, 'config.json': '{"a":' }), /config\.json is no JSON/],
    ['config that is a list', () => ({ ...files, 'config.json': [] }), /config\.json is no JSON object/],
    ['no weights', () => ({ 'config.json': config }), /neither model\.safetensors nor model\.safetensors\.index\.json/],
    [
      'a missing shard',
      () => ({ 'config.json': config, 'model.safetensors.index.json': { weight_map: { x: 'c.safetensors' } } }),
      /names c\.safetensors, which is missing/,
    ],
    [
      'a missing tensor',
      async () => ({ ...files, 'model.safetensors': await safetensors(without('model.norm.weight')) }),
      /model\.safetensors: the tensor model\.norm\.weight is missing/,
    ],
    [
      'a tensor of the wrong shape',
      async () => ({
        ...files,
        'model.safetensors': await safetensors({ ...shapes, 'model.layers.0.mlp.up_proj.weight': [4, 8] }),
      }),
      /up_proj\.weight must be \[8, 4\], got \[4, 8\]/,
    ],
    [
      'weights that are integers',
      async () => ({ ...files, 'model.safetensors': await safetensors(shapes, 'i32') }),
      /embed_tokens\.weight is I32/,
    ],
    [
      'a head that is neither tied nor there',
      () => ({ ...files, 'config.json': { ...config, tie_word_embeddings: false } }),
      /the tensor lm_head\.weight is missing/,
    ],
    [
      'a tokenizer of no known kind',
      () => ({ ...files, 'tokenizer.json': { model: { type: 'Rune' } } }),
      /tokenizer\.json/,
    ],
    ['a tokenizer without a model', () => ({ ...files, 'tokenizer.json': {} }), /tokenizer\.json: .*no model/],
    [
      'a token that is none',
      () => ({ ...files, 'tokenizer_config.json': { bos_token: '<begin>' } }),
      /tokenizer_config\.json: bos_token is "<begin>"/,
    ],
  ]
  for (const [name, spoilt, message] of refusals)
    it(`refuses ${name}`, async () => {
      const opened = openCheckpointFromSources(sources(await spoilt()))
      await expect(opened).rejects.toMatchObject({ code: 'format', message: expect.stringMatching(message) })
    })

  it('refuses names that are no weights of the model', async () => {
    const checkpoint = await openCheckpointFromSources(sources(files))
    expect(checkpoint.has('lmHead')).toBe(false)
    await expect(checkpoint.matrix('lmHead')).rejects.toMatchObject({ code: 'format' })
    await expect(checkpoint.matrix('layers.1.mlp.up')).rejects.toMatchObject({ code: 'format' })
    await expect(checkpoint.vector('layers.0.mlp.up')).rejects.toMatchObject({ code: 'format' })
    expect(() => checkpoint.matrixInfo('finalNorm')).toThrow(expect.objectContaining({ code: 'format' }))
    await checkpoint.close()
  })

  it('refuses paths that are none, and contexts that are none', async () => {
    await expect(openCheckpoint(join(folder, 'none'))).rejects.toMatchObject({ code: 'io' })
    const path = join(folder, 'broken.gguf')
    await writeFile(path, 'GGUX, not a model')
    await expect(openCheckpoint(path)).rejects.toMatchObject({ code: 'format', message: expect.stringContaining(path) })
    for (const contextLength of [0, -1, 1.5, Number.NaN])
      await expect(openCheckpoint(folder, { contextLength })).rejects.toMatchObject({ code: 'argument' })
  })

  it('closes what it has opened when it fails', async () => {
    let open = 0
    const counted = Object.fromEntries(
      Object.entries(sources({ ...files, 'config.json': { ...config, hidden_size: 3 } })).map(([name, source]) => {
        open++
        let closed = false
        const close = async () => {
          if (!closed) open--
          closed = true
        }
        return [name, { ...source, close }]
      }),
    )
    await expect(openCheckpointFromSources(counted)).rejects.toMatchObject({ code: 'format' })
    expect(open).toBe(0)
  })
})
