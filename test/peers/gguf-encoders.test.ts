import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Device, openDevice } from '../../src/device/index.ts'
import { type Embedder, openEmbedder } from '../../src/llm/index.ts'
import { type GgufTypedValue, writeGguf } from '../../src/model/files/write-gguf.ts'
import type { TensorToWrite } from '../../src/model/files/write-safetensors.ts'
import { readSafetensors } from '../conformance/read-safetensors.ts'
import { type EncoderCase, encoderCase } from '../llm/encoder-case.ts'
import { askLlamaCppVectors, hasLlamaCpp } from './llama-cpp.ts'

/** Words for the 101 tokens of the recorded models: 96 of one letter or two, each at the beginning of a word or inside one. */
const tokens = [
  ...['[PAD]', '[UNK]', '[CLS]', '[SEP]', '[MASK]'],
  ...Array.from({ length: 96 }, (_, i) => {
    const letter = String.fromCharCode(97 + (Math.floor(i / 2) % 24))
    const word = i < 48 ? letter : letter + letter
    return i % 2 === 0 ? `▁${word}` : word
  }),
]

const u32 = (value: number): GgufTypedValue => ({ type: 'u32', value })
const f32 = (value: number): GgufTypedValue => ({ type: 'f32', value })

/** llama.cpp's names of a recorded model's tensors. */
const renamed: Readonly<Record<string, (name: string) => string | null>> = {
  bert(name) {
    if (name.startsWith('pooler')) return null
    return name
      .replace('embeddings.LayerNorm', 'token_embd_norm')
      .replace('embeddings.word_embeddings', 'token_embd')
      .replace('embeddings.position_embeddings', 'position_embd')
      .replace('embeddings.token_type_embeddings', 'token_types')
      .replace(/^encoder\.layer\.(\d+)\./, 'blk.$1.')
      .replace('attention.output.LayerNorm', 'attn_output_norm')
      .replace('attention.output.dense', 'attn_output')
      .replace(/attention\.self\.(query|key|value)/, (_, of: string) => `attn_${of[0]}`)
      .replace('output.LayerNorm', 'layer_output_norm')
      .replace('intermediate.dense', 'ffn_up')
      .replace('output.dense', 'ffn_down')
  },
  'nomic-bert': (name) =>
    name
      .replace('emb_ln', 'token_embd_norm')
      .replace('embeddings.word_embeddings', 'token_embd')
      .replace('embeddings.token_type_embeddings', 'token_types')
      .replace(/^encoder\.layers\.(\d+)\./, 'blk.$1.')
      .replace('attn.out_proj', 'attn_output')
      .replace('attn.Wqkv', 'attn_qkv')
      .replace('mlp.fc11', 'ffn_up')
      .replace('mlp.fc12', 'ffn_gate')
      .replace('mlp.fc2', 'ffn_down')
      .replace('norm1', 'attn_output_norm')
      .replace('norm2', 'layer_output_norm'),
}

async function writeEncoder(name: 'bert' | 'nomic-bert', folder: string, path: string): Promise<void> {
  const { tensors } = readSafetensors(await readFile(join(folder, 'model.safetensors')))
  const written = Object.entries(tensors).flatMap(([own, { shape, data }]): TensorToWrite[] => {
    const tensor = renamed[name]?.(own) ?? null
    const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength)
    return tensor === null ? [] : [{ name: tensor, dtype: 'f32', shape, read: async () => bytes }]
  })
  const metadata = new Map<string, GgufTypedValue>([
    ['general.architecture', { type: 'string', value: name }],
    [`${name}.context_length`, u32(64)],
    [`${name}.embedding_length`, u32(32)],
    [`${name}.block_count`, u32(2)],
    [`${name}.feed_forward_length`, u32(28)],
    [`${name}.attention.head_count`, u32(4)],
    [`${name}.attention.layer_norm_epsilon`, f32(1e-12)],
    [`${name}.attention.causal`, { type: 'bool', value: false }],
    [`${name}.pooling_type`, u32(1)],
    ...(name === 'bert' ? [] : [[`${name}.rope.freq_base`, f32(1000)] as const]),
    ['tokenizer.ggml.model', { type: 'string', value: 'bert' }],
    ['tokenizer.ggml.token_type_count', u32(2)],
    ['tokenizer.ggml.tokens', { type: { arrayOf: 'string' }, value: tokens }],
    ['tokenizer.ggml.token_type', { type: { arrayOf: 'i32' }, value: tokens.map((_, id) => (id < 5 ? 3 : 1)) }],
    ['tokenizer.ggml.padding_token_id', u32(0)],
    ['tokenizer.ggml.unknown_token_id', u32(1)],
    ['tokenizer.ggml.bos_token_id', u32(2)],
    ['tokenizer.ggml.eos_token_id', u32(3)],
    ['tokenizer.ggml.cls_token_id', u32(2)],
    ['tokenizer.ggml.seperator_token_id', u32(3)],
    ['tokenizer.ggml.mask_token_id', u32(4)],
  ])
  await writeGguf(path, metadata, written)
}

describe.each(['bert', 'nomic-bert'] as const)('%s in a GGUF file', (name) => {
  let folder = ''
  let path = ''
  let device: Device
  let embedder: Embedder
  let recorded: EncoderCase | null
  beforeAll(async () => {
    recorded = encoderCase(name)
    if (!recorded) return
    folder = await mkdtemp(join(tmpdir(), 'fovea-gguf-encoder-'))
    path = join(folder, `${name}.gguf`)
    await writeEncoder(name, recorded.folder, path)
    device = await openDevice('wasm', { wasm: { threads: 1 } })
    embedder = await openEmbedder(path, { device })
  })
  afterAll(async () => {
    if (!recorded) return
    await embedder.close()
    device.dispose()
    await rm(folder, { recursive: true })
  })

  it('gives the recorded vectors', async (context) => {
    if (!recorded) return context.skip('hardware: ../shared/golden/architectures is not beside the project')
    const got = await embedder.embed(recorded.texts)
    for (const [i, vector] of got.entries())
      for (const [at, x] of vector.entries())
        expect(Math.abs(x - (recorded.vectors[i]?.[at] as number))).toBeLessThan(1e-5)
  })

  it('gives the tokens and the vectors of llama.cpp', async (context) => {
    if (!recorded) return context.skip('hardware: ../shared/golden/architectures is not beside the project')
    if (!hasLlamaCpp()) return context.skip('hardware: node-llama-cpp is not installed in test/peers')
    const texts = ['a b c aa bb', 'abc cab xx', 'Ab, é? zz', 'k kk kkk ll mm nn oo pp qq rr ss tt uu vv']
    const [judged] = await askLlamaCppVectors([{ path, texts }])
    const own = texts.map((text) => embedder.tokenizer.encode(text, { special: false }))
    const theirs = (judged?.ids ?? []).map((ids) => ids.filter((id) => id !== 2 && id !== 3))
    expect(own).toEqual(theirs)
    for (const [i, vector] of (await embedder.embed(texts)).entries()) {
      const other = judged?.vectors[i] as readonly number[]
      const length = Math.hypot(...other)
      const cosine = vector.reduce((sum, x, at) => sum + (x * (other[at] as number)) / length, 0)
      // its gelu is an approximation from a table of halves
      expect(cosine, texts[i]).toBeGreaterThan(0.9999)
    }
  })
})
