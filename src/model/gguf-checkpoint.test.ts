import { existsSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { weightShapes } from './architectures/weight-shapes.ts'
import type { Checkpoint } from './checkpoint.ts'
import type { DecoderSpec } from './decoder-spec.ts'
import { bytesSource } from './files/byte-source.ts'
import type { GgufValueType } from './files/gguf-types.ts'
import { openFile } from './files/open-file.ts'
import { openSafetensors } from './files/safetensors.ts'
import { type GgufTypedValue, writeGguf } from './files/write-gguf.ts'
import { openCheckpoint } from './open-checkpoint.ts'
import { openCheckpointFromSources } from './open-sources.ts'
import { defaultRope } from './rope/default-rope.ts'
import { llama3Rope } from './rope/llama3-rope.ts'

const parity = '../shared/golden/hf'

type Values = Record<string, number | boolean | string>
type Tensors = Map<string, { shape: readonly number[]; data: Float32Array }>

/** What llama.cpp's converter would write of a parity folder: its names, its keys, its order of rows. */
interface Conversion {
  readonly folder: string
  readonly architecture: string
  readonly keys: Values
  /** weights of a norm have 1 added */
  readonly addsOne?: boolean
  readonly reorders?: boolean
  /** divisors of rotary frequencies, by the names of their tensors */
  readonly divisors?: Readonly<Record<string, readonly number[]>>
}

const heads = (folder: Conversion['folder'], architecture: string, keys: Values, rest: Partial<Conversion> = {}) => ({
  folder,
  architecture,
  keys: {
    block_count: 3,
    embedding_length: 64,
    feed_forward_length: 112,
    context_length: 512,
    'attention.head_count': 4,
    'attention.head_count_kv': 2,
    'attention.layer_norm_rms_epsilon': 1e-6,
    'rope.freq_base': 10_000,
    ...keys,
  },
  ...rest,
})
const layerNorm = { 'attention.layer_norm_epsilon': 1e-5 }
const gemma = { 'attention.key_length': 16, 'attention.value_length': 16, 'attention.sliding_window': 16 }
const conversions: readonly Conversion[] = [
  heads('llama-gqa', 'llama', { 'rope.dimension_count': 16 }, { reorders: true }),
  heads(
    'llama3-rope',
    'llama',
    { 'attention.head_count': 8, 'attention.head_count_kv': 1, 'rope.freq_base': 500_000 },
    { reorders: true },
  ),
  heads('mistral-window', 'llama', { 'attention.sliding_window': 16 }, { reorders: true }),
  heads('qwen2-bias', 'qwen2', { 'rope.freq_base': 1_000_000 }),
  heads('qwen3-qknorm', 'qwen3', { 'rope.freq_base': 1_000_000, 'attention.key_length': 24 }),
  heads(
    'gemma2',
    'gemma2',
    { ...gemma, block_count: 4, attn_logit_softcapping: 20, final_logit_softcapping: 10 },
    { addsOne: true },
  ),
  heads('gemma3', 'gemma3', { ...gemma, block_count: 7, 'rope.freq_base': 1_000_000 }, { addsOne: true }),
  heads('phi3-fused', 'phi3', { 'attention.layer_norm_rms_epsilon': 1e-5, 'attention.sliding_window': 0 }),
  heads('gpt2', 'gpt2', { ...layerNorm, feed_forward_length: 256, 'attention.head_count_kv': 4 }),
  heads('neox', 'gptneox', {
    ...layerNorm,
    'attention.head_count_kv': 4,
    'rope.dimension_count': 4,
    use_parallel_residual: true,
  }),
  heads('olmo2', 'olmo2', { 'attention.layer_norm_rms_epsilon': 1e-5 }),
  heads('smollm3', 'smollm3', { block_count: 4, 'rope.freq_base': 2_000_000 }, { reorders: true }),
]

/** Names of Hugging Face to those of llama.cpp; a norm after attention is called differently where others precede the MLP. */
const renames: readonly (readonly [RegExp, string])[] = [
  [/^(model|gpt_neox|transformer)\./, ''],
  [/^(layers|h)\./, 'blk.'],
  [/^(embed_tokens|embed_in|wte)\./, 'token_embd.'],
  [/^wpe\./, 'position_embd.'],
  [/^(norm|final_layer_norm|ln_f)\./, 'output_norm.'],
  [/^(lm_head|embed_out)\./, 'output.'],
  [/self_attn\.([qkv])_proj/, 'attn_$1'],
  [/self_attn\.([qk])_norm/, 'attn_$1_norm'],
  [/(self_attn\.o_proj|attention\.dense|attn\.c_proj)/, 'attn_output'],
  [/(self_attn\.qkv_proj|attention\.query_key_value|attn\.c_attn)/, 'attn_qkv'],
  [/mlp\.gate_proj/, 'ffn_gate'],
  [/mlp\.(up_proj|gate_up_proj|dense_h_to_4h|c_fc)/, 'ffn_up'],
  [/mlp\.(down_proj|dense_4h_to_h|c_proj)/, 'ffn_down'],
  [/(input_layernorm|ln_1)/, 'attn_norm'],
  [/(pre_feedforward_layernorm|ln_2)/, 'ffn_norm'],
  [/post_feedforward_layernorm/, 'post_ffw_norm'],
]

async function convert({
  folder,
  architecture,
  keys,
  addsOne,
  reorders,
  divisors: given,
}: Conversion): Promise<Uint8Array> {
  const tensors: Tensors = new Map()
  const table = await openSafetensors(await openFile(`${parity}/${folder}/model.safetensors`))
  const sandwich = table.has('model.layers.0.post_feedforward_layernorm.weight')
  for (const original of table.names()) {
    const entry = table.get(original)
    let data: Float32Array = new Float32Array((await entry.read()).slice().buffer)
    let shape = entry.shape
    let name = renames.reduce((text, [from, to]) => text.replace(from, to), original)
    name = name.replace('post_attention_layernorm', sandwich ? 'post_attention_norm' : 'ffn_norm')
    if (addsOne && /norm\.weight$/.test(name)) data = data.map((value) => value + 1)
    const [rows = 1, cols = 1] = shape
    if (/\.c_(attn|proj|fc)\.weight$/.test(original)) {
      const turned = new Float32Array(data.length)
      for (let i = 0; i < rows; i++) for (let o = 0; o < cols; o++) turned[o * rows + i] = data[i * cols + o] ?? 0
      data = turned
      shape = [cols, rows]
    }
    const numHeads = Number(keys[/attn_q\./.test(name) ? 'attention.head_count' : 'attention.head_count_kv'])
    // weights.reshape(heads, 2, dim / 2, ...).swapaxes(1, 2)
    if (reorders && /attn_[qk]\./.test(name)) data = swapped(data, [numHeads, 2, rows / numHeads / 2, cols], true)
    // [heads, 3, dim, ...] to [3, heads, dim, ...]
    if (/query_key_value/.test(original)) data = swapped(data, [4, 3, 16, data.length / 192], false)
    tensors.set(name, { shape, data })
  }
  await table.close()
  if (folder === 'llama3-rope') {
    const base = { rotaryDim: 8, theta: 500_000 }
    const scaling = { factor: 8, lowFreqFactor: 1, highFreqFactor: 4, originalMaxPositions: 64 }
    const scaled = llama3Rope(base, scaling).inverseFrequencies
    const divisors = defaultRope(base).inverseFrequencies.map((f, i) => f / (scaled[i] ?? 1))
    tensors.set('rope_freqs.weight', { shape: [4], data: Float32Array.from(divisors) })
  }
  for (const [name, divisors] of Object.entries(given ?? {}))
    tensors.set(name, { shape: [divisors.length], data: Float32Array.from(divisors) })
  return bytesOf(architecture, keys, tensors)
}

/** Axes 1 and 2 of [a, b, c, d] exchanged, or axes 0 and 1. */
function swapped(data: Float32Array, [a, b, c, d]: [number, number, number, number], inner: boolean): Float32Array {
  const output = new Float32Array(data.length)
  let from = 0
  for (let i = 0; i < a; i++)
    for (let j = 0; j < b; j++)
      for (let k = 0; k < c; k++)
        for (let l = 0; l < d; l++) {
          const row = inner ? (i * c + k) * b + j : (j * a + i) * c + k
          output[row * d + l] = data[from++] ?? 0
        }
  return output
}

async function bytesOf(architecture: string, keys: Values, tensors: Tensors): Promise<Uint8Array> {
  const chunks: Uint8Array[] = []
  const typed = (value: number | boolean | string): GgufTypedValue => {
    if (typeof value === 'string') return { type: 'string', value }
    const type: Exclude<GgufValueType, 'array'> =
      typeof value === 'boolean' ? 'bool' : Number.isInteger(value) && value < 1e6 ? 'u32' : 'f32'
    return { type, value }
  }
  const metadata = new Map<string, GgufTypedValue>([['general.architecture', { type: 'string', value: architecture }]])
  for (const [key, value] of Object.entries(keys)) metadata.set(`${architecture}.${key}`, typed(value))
  metadata.set('tokenizer.ggml.bos_token_id', typed(1)).set('tokenizer.ggml.eos_token_id', typed(2))
  const list = [...tensors].map(([name, { shape, data }]) => ({
    name,
    dtype: 'f32' as const,
    shape,
    read: async () => new Uint8Array(data.buffer, data.byteOffset, data.byteLength),
  }))
  await writeGguf({ write: async (bytes) => void chunks.push(bytes.slice()) }, metadata, list)
  return new Uint8Array(Buffer.concat(chunks))
}

/** The same specification, up to what f32 does to a number and where Gemma's 1 is added. */
function expectSame(got: unknown, wanted: unknown, path: string): void {
  if (path.endsWith('.offset')) return
  if (typeof wanted === 'number') {
    expect(typeof got, path).toBe('number')
    expect(Math.abs((got as number) - wanted), path).toBeLessThanOrEqual(2e-7 * Math.abs(wanted))
  } else if (typeof wanted === 'object' && wanted !== null) {
    expect(Object.keys(got as object), path).toEqual(Object.keys(wanted))
    for (const [key, value] of Object.entries(wanted)) expectSame((got as never)[key], value, `${path}.${key}`)
  } else expect(got, path).toBe(wanted)
}

async function expectSameWeights(got: Checkpoint, wanted: Checkpoint, plus: number): Promise<void> {
  for (const [name, shape] of weightShapes(wanted.spec)) {
    if (shape.length === 2) {
      // vitest compares bytes one by one
      expect(Buffer.from((await got.matrix(name)).bytes).equals((await wanted.matrix(name)).bytes), name).toBe(true)
      continue
    }
    const added = /[nN]orm/.test(name) ? plus : 0
    const vector = await wanted.vector(name)
    expect(await got.vector(name), name).toEqual(vector.map((value) => value + added))
  }
}

describe('GGUF files', () => {
  for (const conversion of conversions)
    it(`${conversion.folder} as llama.cpp writes it is the model that it was`, async (context) => {
      if (!existsSync(parity)) return context.skip('hardware: ../shared/golden is not beside the project')
      const original = await openCheckpoint(`${parity}/${conversion.folder}`)
      const bytes = await convert(conversion)
      const opened = await openCheckpointFromSources(bytesSource('model.gguf', bytes))
      expectSame(opened.spec, original.spec, 'spec')
      if (conversion.addsOne) expect(offsets(opened.spec)).toEqual(new Set([0]))
      await expectSameWeights(opened, original, conversion.addsOne ? 1 : 0)
      await Promise.all([opened.close(), original.close()])
    })

  it('rotary scalings: divisors for short and long contexts, linear, yarn', async (context) => {
    if (!existsSync(parity)) return context.skip('hardware: ../shared/golden is not beside the project')
    const ropeOf = async (folder: string, differs: Partial<Conversion>, contextLength?: number) => {
      const plain = conversions.find((conversion) => conversion.folder === folder) as Conversion
      const bytes = await convert({ ...plain, ...differs, keys: { ...plain.keys, ...differs.keys } })
      const options = contextLength === undefined ? {} : { contextLength }
      const { spec, close } = await openCheckpointFromSources(bytesSource('model.gguf', bytes), options)
      await close()
      return spec.layers[0]?.attention.rope
    }
    const long = {
      keys: { 'rope.scaling.original_context_length': 64, 'rope.scaling.attn_factor': 1.25 },
      divisors: { 'rope_factors_short.weight': Array(8).fill(2), 'rope_factors_long.weight': Array(8).fill(4) },
    }
    expect(await ropeOf('phi3-fused', long, 64)).toMatchObject({ attentionFactor: 1.25, rotaryDim: 16 })
    expect((await ropeOf('phi3-fused', long, 64))?.inverseFrequencies[0]).toBe(0.5)
    expect((await ropeOf('phi3-fused', long, 65))?.inverseFrequencies[0]).toBe(0.25)
    expect((await ropeOf('phi3-fused', long))?.inverseFrequencies[0]).toBe(0.25)
    const scaled = (type: string) => ({ keys: { 'rope.scaling.type': type, 'rope.scaling.factor': 4 } })
    const linear = await ropeOf('qwen3-qknorm', scaled('linear'))
    expect(linear?.inverseFrequencies[0]).toBe(0.25)
    expect((await ropeOf('qwen3-qknorm', { keys: { 'rope.scale_linear': 8 } }))?.inverseFrequencies[0]).toBe(1 / 8)
    const yarn = await ropeOf('qwen3-qknorm', scaled('yarn'))
    expect(yarn?.inverseFrequencies[0]).toBe(1)
    expect(yarn?.inverseFrequencies[11]).toBeCloseTo(linear?.inverseFrequencies[11] ?? 0, 12)
    expect(yarn?.attentionFactor).toBeCloseTo(0.1 * Math.log(4) + 1, 6)
    await expect(ropeOf('qwen3-qknorm', scaled('spiral'))).rejects.toThrow(/qwen3\.rope\.scaling\.type .*"spiral"/)
  })

  const llama = conversions[0] as Conversion
  const refused = (changed: Values, message: RegExp, architecture = 'llama') =>
    it(`refuses ${message.source}`, async (context) => {
      if (!existsSync(parity)) return context.skip('hardware: ../shared/golden is not beside the project')
      const bytes = await convert({ ...llama, architecture, keys: { ...llama.keys, ...changed } })
      const opened = openCheckpointFromSources({ 'model.gguf': bytesSource('model.gguf', bytes) })
      await expect(opened).rejects.toMatchObject({ code: 'format', message: expect.stringMatching(message) })
    })
  refused({}, /model\.gguf: general\.architecture .*"mamba".*gptneox/, 'mamba')
  refused({ 'attention.head_count': 5 }, /llama\.attention\.head_count_kv 2 does not divide 5/)
  refused({ block_count: 4 }, /the tensor blk\.3\.attn_q\.weight is missing/)
  refused({ feed_forward_length: 96 }, /blk\.0\.ffn_gate\.weight must be \[96, 64\], got \[112, 64\]/)
  refused({ embedding_length: 0 }, /llama\.embedding_length must be a whole number from 1, got 0/)
  refused({ 'rope.dimension_count': 5 }, /llama\.rope\.dimension_count .* 5 elements/)
  refused({ 'rope.freq_base': 0 }, /llama\.rope\.freq_base must be a number above 0, got 0/)
})

function offsets(spec: DecoderSpec): Set<number> {
  const found = new Set<number>()
  JSON.stringify(spec, (key, value) => {
    if (key === 'offset') found.add(value)
    return value
  })
  return found
}
