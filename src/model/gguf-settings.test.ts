import { describe, expect, it } from 'vitest'
import type { Checkpoint } from './checkpoint.ts'
import { bytesSource } from './files/byte-source.ts'
import { type GgufTypedValue, writeGguf } from './files/write-gguf.ts'
import { openCheckpoint } from './open-checkpoint.ts'
import { yarnRope } from './rope/yarn-rope.ts'

type Values = Readonly<Record<string, number | boolean | string | readonly number[] | readonly boolean[]>>
type Shapes = Readonly<Record<string, readonly number[]>>

/** One layer of one head of 16: the smallest that has pairs enough to tell scalings apart. */
const shapes: Shapes = {
  'token_embd.weight': [3, 16],
  'output_norm.weight': [16],
  'blk.0.attn_norm.weight': [16],
  'blk.0.attn_q.weight': [16, 16],
  'blk.0.attn_k.weight': [16, 16],
  'blk.0.attn_v.weight': [16, 16],
  'blk.0.attn_output.weight': [16, 16],
  'blk.0.ffn_norm.weight': [16],
  'blk.0.ffn_gate.weight': [8, 16],
  'blk.0.ffn_up.weight': [8, 16],
  'blk.0.ffn_down.weight': [16, 8],
}
const keys: Values = {
  'general.architecture': 'llama',
  'llama.context_length': 64,
  'llama.embedding_length': 16,
  'llama.block_count': 1,
  'llama.feed_forward_length': 8,
  'llama.attention.head_count': 1,
  'llama.attention.layer_norm_rms_epsilon': 1e-5,
}

function typed(value: Values[string]): GgufTypedValue {
  if (typeof value === 'string') return { type: 'string', value }
  if (typeof value === 'boolean') return { type: 'bool', value }
  if (typeof value === 'number') return { type: Number.isInteger(value) ? 'u32' : 'f32', value }
  return { type: { arrayOf: typeof value[0] === 'boolean' ? 'bool' : 'u32' }, value }
}

async function open(
  changed: Values = {},
  more: Shapes = {},
  options: Parameters<typeof openCheckpoint>[1] = {},
): Promise<Checkpoint> {
  const chunks: Uint8Array[] = []
  const sink = { write: async (bytes: Uint8Array) => void chunks.push(bytes.slice()) }
  const metadata = new Map(Object.entries({ ...keys, ...changed }).map(([key, value]) => [key, typed(value)]))
  const tensors = Object.entries({ ...shapes, ...more }).map(([name, shape]) => {
    // divisors of frequencies are 2, 3, 4 ...
    const data = Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, (_, i) => i + 2)
    return { name, dtype: 'f32' as const, shape, read: async () => new Uint8Array(data.buffer) }
  })
  await writeGguf(sink, metadata, tensors)
  const checkpoint = await openCheckpoint(bytesSource('m.gguf', new Uint8Array(Buffer.concat(chunks))), options)
  await checkpoint.close()
  return checkpoint
}
const ropeOf = async (changed: Values, more: Shapes = {}, options = {}) => {
  const rope = (await open(changed, more, options)).spec.layers[0]?.attention.rope
  if (!rope) throw new Error('no rope')
  return rope
}
const plain = Array.from({ length: 8 }, (_, i) => 10_000 ** (-i / 8))
const closeTo = (got: readonly number[], wanted: readonly number[]) => {
  expect(got).toHaveLength(wanted.length)
  for (const [i, x] of wanted.entries()) expect(Math.abs((got[i] ?? 0) / x - 1)).toBeLessThan(1e-6)
}

describe('rotary positions of GGUF files', () => {
  const yarn = {
    'llama.rope.scaling.type': 'yarn',
    'llama.rope.scaling.factor': 4,
    'llama.rope.scaling.original_context_length': 64,
  }
  const wanted = (betaFast: number, betaSlow: number) =>
    yarnRope(
      { rotaryDim: 16, theta: 10_000 },
      {
        factor: 4,
        originalMaxPositions: 64,
        truncate: true,
        attentionFactor: null,
        mscale: null,
        mscaleAllDim: null,
        betaFast,
        betaSlow,
      },
    )

  it('yarn by its betas, and attn_factor on top of what yarn sharpens', async () => {
    const usual = await ropeOf(yarn)
    closeTo(usual.inverseFrequencies, wanted(32, 1).inverseFrequencies)
    expect(usual.attentionFactor).toBeCloseTo(1 + 0.1 * Math.log(4), 12)
    const narrow = { ...yarn, 'llama.rope.scaling.yarn_beta_fast': 16, 'llama.rope.scaling.yarn_beta_slow': 2 }
    const rope = await ropeOf({ ...narrow, 'llama.rope.scaling.attn_factor': 1 })
    closeTo(rope.inverseFrequencies, wanted(16, 2).inverseFrequencies)
    expect(rope.inverseFrequencies.slice(0, 3).map((x) => Number(x.toFixed(4)))).toEqual([1, 0.1976, 0.025])
    expect(rope.attentionFactor).toBeCloseTo(1 + 0.1 * Math.log(4), 12)
    const more = await ropeOf({ ...yarn, 'llama.rope.scaling.attn_factor': 0.5 })
    expect(more.attentionFactor).toBeCloseTo(0.5 * (1 + 0.1 * Math.log(4)), 12)
    const none = await ropeOf({ ...yarn, 'llama.rope.scaling.yarn_ext_factor': 0 })
    closeTo(
      none.inverseFrequencies,
      plain.map((x) => x / 4),
    )
    expect(none.attentionFactor).toBe(1)
  })

  it('a factor of 0, and type none, are none; without a type a factor is linear', async () => {
    for (const type of ['none', 'linear', 'yarn', 'longrope'])
      closeTo(
        (await ropeOf({ 'llama.rope.scaling.type': type, 'llama.rope.scaling.factor': 0 })).inverseFrequencies,
        plain,
      )
    closeTo(
      (await ropeOf({ 'llama.rope.scaling.type': 'none', 'llama.rope.scaling.factor': 8 })).inverseFrequencies,
      plain,
    )
    const eighth = plain.map((x) => x / 8)
    for (const key of ['llama.rope.scaling.factor', 'llama.rope.scale_linear'])
      closeTo((await ropeOf({ [key]: 8 })).inverseFrequencies, eighth)
    const factored = await ropeOf({ 'llama.rope.scaling.attn_factor': 1.5 })
    expect(factored.attentionFactor).toBe(1.5)
    await expect(open({ 'llama.rope.scaling.type': 'spiral' })).rejects.toThrow(/rope\.scaling\.type .*"spiral"/)
  })

  it('divisors of frequencies, with a factor as well, and of the right number', async () => {
    const divided = plain.map((x, i) => x / (i + 2))
    closeTo((await ropeOf({}, { 'rope_freqs.weight': [8] })).inverseFrequencies, divided)
    const both = await ropeOf({ 'llama.rope.scaling.factor': 2 }, { 'rope_freqs.weight': [8] })
    closeTo(
      both.inverseFrequencies,
      divided.map((x) => x / 2),
    )
    await expect(open({}, { 'rope_freqs.weight': [4] })).rejects.toThrow(
      /rope_freqs\.weight must have 8 numbers, got 4/,
    )
    const lengths = { 'llama.rope.scaling.original_context_length': 32 }
    const factors = { 'rope_factors_short.weight': [8], 'rope_factors_long.weight': [8] }
    closeTo((await ropeOf(lengths, factors, { contextLength: 16 })).inverseFrequencies, divided)
  })

  it.each<[string, Values, number]>([
    ['yarn', yarn, 256],
    ['yarn of an extended model', { ...yarn, 'llama.rope.scaling.original_context_length': 16 }, 64],
    ['linear', { 'llama.rope.scaling.factor': 4 }, 256],
    ['linear, counted', { 'llama.rope.scaling.factor': 4, 'llama.rope.scaling.original_context_length': 16 }, 64],
    ['longrope', { 'llama.rope.scaling.type': 'longrope', 'llama.rope.scaling.factor': 4 }, 64],
    ['none', { 'llama.rope.scaling.type': 'none', 'llama.rope.scaling.factor': 4 }, 64],
  ])('the context of %s', async (_, changed, reached) => {
    expect((await open(changed)).spec.maxPositions).toBe(reached)
  })
})

describe('keys of GGUF files are not read past in silence', () => {
  it.each<[Values, RegExp]>([
    [
      { 'llama.expert_weights_scale': 8 },
      /m\.gguf: llama\.expert_weights_scale is 8, .*--ignore-field llama\.expert_weights_scale/,
    ],
    [{ 'llama.attention.scale': 0.5 }, /llama\.attention\.scale is 0\.5/],
    [{ 'llama.logit_scale': 8 }, /llama\.logit_scale is 8/],
    [{ 'llama.embedding_scale': 12 }, /llama\.embedding_scale is 12/],
    [{ 'llama.attention.causal': false }, /llama\.attention\.causal is false/],
    [{ 'llama.attention.value_length': 8 }, /attention\.value_length is 8, that of keys 16/],
    [{ 'llama.rope.scaling.yarn_log_multiplier': 0.1 }, /yarn_log_multiplier is/],
    [{ 'llama.rope.dimension_sections': [16, 24, 24, 0] }, /dimension_sections is \[16,24,24,0\]/],
    [{ 'llama.attn_logit_softcapping': 30 }, /llama\.attn_logit_softcapping is 30/],
    [{ 'tokenizer.ggml.spelling': 'british' }, /tokenizer\.ggml\.spelling is "british"/],
    [{ 'general.type': 'adapter' }, /general\.type is adapter/],
  ])('%o', async (changed, message) => {
    await expect(open(changed)).rejects.toMatchObject({ code: 'unsupported', where: 'openCheckpoint' })
    await expect(open(changed)).rejects.toThrow(message)
  })

  it('those that cannot matter, that say nothing, and that the caller wants ignored', async () => {
    const harmless = {
      'general.name': 'x',
      'general.type': 'model',
      'general.quantization_version': 2,
      'quantize.imatrix.entries_count': 196,
      'split.count': 1,
      'mradermacher.quantized_by': 'someone',
      'llama.vocab_size': 32_000,
      'llama.attention.causal': true,
      'llama.attention.key_length': 16,
      'llama.attention.value_length': 16,
      'llama.attention.head_count_kv': [1],
      'llama.rope.dimension_count': 16,
      'llama.rope.scaling.finetuned': true,
      'llama.expert_count': 0,
      'llama.logit_scale': 1,
      'tokenizer.ggml.bos_token_id': 4_294_967_295,
      'tokenizer.ggml.eot_token_id': 4_294_967_295,
      'tokenizer.ggml.eos_token_id': 2,
      'tokenizer.ggml.add_space_prefix': true,
    }
    const { spec } = await open(harmless)
    expect([spec.bosToken, spec.eosTokens, spec.vocabSize]).toEqual([null, [2], 3])
    const ignoreFields = ['llama.logit_scale']
    expect((await open({ 'llama.logit_scale': 8 }, {}, { ignoreFields })).spec.hiddenSize).toBe(16)
  })
})
