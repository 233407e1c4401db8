import { describe, expect, it } from 'vitest'
import {
  smallConfig,
  smallFiles,
  smallShapes,
  smallSources,
  smallTokenizer,
  smallWeights,
} from '../../test/files/small-model.ts'
import type { Checkpoint } from './checkpoint.ts'
import type { CheckpointOptions } from './open-checkpoint.ts'
import { openCheckpointFromSources } from './open-sources.ts'

type Fields = Readonly<Record<string, unknown>>

async function open(changed: Fields, options: CheckpointOptions = {}): Promise<Checkpoint> {
  return openCheckpointFromSources(smallSources({ ...(await smallFiles()), ...changed }), options)
}
const withConfig = (fields: Fields, options?: CheckpointOptions) =>
  open({ 'config.json': { ...smallConfig, ...fields } }, options)

describe('settings of config.json are not read past in silence', () => {
  it.each<[Fields, RegExp]>([
    [{ sliding_window: 4096 }, /sources\/config\.json: sliding_window is 4096, .*ignoreFields: \['sliding_window'\]/],
    [{ residual_multiplier: 0.22 }, /residual_multiplier is 0\.22/],
    [{ logits_scaling: 8 }, /logits_scaling is 8/],
    [{ rope_interleaved: true }, /rope_interleaved is true/],
    [{ num_local_experts: 8 }, /num_local_experts is 8/],
    [{ add_cross_attention: true }, /add_cross_attention is true/],
    [{ pruned_heads: { 0: [2] } }, /pruned_heads is \{"0":\[2\]\}/],
    [{ quantization_config: { quant_method: 'bitsandbytes' } }, /quantization_config\.quant_method is "bitsandbytes"/],
    [{ quantization_config: { quant_method: 'gptq', bits: 3, group_size: 128 } }, /quantization_config\.bits is 3/],
    [{ layer_types: ['linear_attention'] }, /layer_types is \["linear_attention"\]/],
    [{ rope_scaling: { type: 'linear', factor: 2, mrope_section: [16, 24, 24] } }, /rope_scaling\.mrope_section is/],
    [
      { rope_parameters: { rope_type: 'default', full_atention: { rope_theta: 5 } } },
      /rope_parameters\.full_atention is/,
    ],
    [
      { rope_parameters: { full_attention: { rope_theta: 5 }, sliding_attention: { rope_theta: 9 } } },
      /rope_parameters\.sliding_attention is/,
    ],
  ])('%o', async (fields, message) => {
    await expect(withConfig(fields)).rejects.toMatchObject({ code: 'unsupported', where: 'openCheckpoint' })
    await expect(withConfig(fields)).rejects.toThrow(message)
  })

  it('those that cannot matter, that say nothing, and that the caller wants ignored', async () => {
    const harmless = {
      _name_or_path: 'x/y',
      architectures: ['LlamaForCausalLM'],
      auto_map: { AutoConfig: 'x.Y' },
      torch_dtype: 'bfloat16',
      transformers_version: '4.40.0',
      pretraining_tp: 4,
      use_cache: true,
      attention_dropout: 0.1,
      embd_pdrop: 0.1,
      initializer_range: 0.02,
      task_specific_params: { 'text-generation': { do_sample: true, max_length: 50 } },
      id2label: { 0: 'a', 1: 'b' },
      pad_token_id: -1,
      temperature: 0.6,
      'transformers.js_config': { kv_cache_dtype: { fp16: 'float16' } },
      model_max_length: 2048,
    }
    const neutral = {
      sliding_window: null,
      residual_multiplier: 1,
      logits_scaling: 1.0,
      rope_interleaved: false,
      quantization_config: {},
      pruned_heads: {},
      alibi: 'none',
      mystery: [0, 0, 1],
      limit: Number.NaN,
    }
    for (const fields of [harmless, neutral]) expect((await withConfig(fields)).spec.hiddenSize).toBe(4)
    const odd = { residual_multiplier: 3, rope_scaling: { type: 'linear', factor: 2, spiral: 5 } }
    const ignoreFields = ['residual_multiplier', 'rope_scaling.spiral']
    expect((await withConfig(odd, { ignoreFields })).spec.maxPositions).toBe(32)
    await expect(withConfig(odd, { ignoreFields: ['residual_multiplier'] })).rejects.toThrow(/rope_scaling\.spiral/)
    await expect(withConfig({}, { ignoreFields: 'all' as never })).rejects.toMatchObject({ code: 'argument' })
    await expect(withConfig({}, { ignoreField: [] } as never)).rejects.toThrow(/did you mean ignoreFields/)
  })

  it('rope settings of other types, which transformers reads past', async () => {
    const plain = (await withConfig({ rope_theta: 500 })).spec.layers
    const leftover = { rope_type: 'default', factor: 8, low_freq_factor: 1, beta_fast: 32 }
    expect((await withConfig({ rope_theta: 500, rope_scaling: leftover })).spec.layers).toEqual(plain)
  })

  it('rope_scaling beside rope_parameters: the older spelling is taken, as in transformers', async () => {
    const linear = { rope_type: 'linear', factor: 2, rope_theta: 100 }
    const { layers } = (await withConfig({ rope_scaling: linear })).spec
    const both = { rope_scaling: linear, rope_parameters: { rope_type: 'default', rope_theta: 700 } }
    expect((await withConfig(both)).spec.layers).toEqual(layers)
    expect(
      (await withConfig({ ...both, rope_scaling: {} })).spec.layers[0]?.attention.rope?.inverseFrequencies,
    ).toEqual([1])
    const lost = { rope_scaling: { type: 'linear', factor: 2 }, rope_parameters: { rope_theta: 700 } }
    await expect(withConfig(lost)).rejects.toThrow(/rope_scaling .*alone says rope_theta/)
    const nested = { rope_scaling: linear, rope_parameters: { full_attention: { rope_theta: 700 } } }
    await expect(withConfig(nested)).rejects.toThrow(/rope_scaling stands beside/)
    const alone = { rope_parameters: { full_attention: { rope_type: 'linear', factor: 2, rope_theta: 100 } } }
    expect((await withConfig(alone)).spec.layers).toEqual(layers)
  })
})

describe('contexts that rope scaling extends', () => {
  const positions = async (fields: Fields, options?: CheckpointOptions) =>
    (await withConfig(fields, options)).spec.maxPositions
  // the small model has 16 positions
  it.each<[string, Fields, number]>([
    ['yarn, as model cards say', { type: 'yarn', factor: 4, original_max_position_embeddings: 16 }, 64],
    ['yarn of an extended model', { type: 'yarn', factor: 4, original_max_position_embeddings: 4 }, 16],
    ['yarn without the original length', { rope_type: 'yarn', factor: 2.5 }, 40],
    [
      'yarn that reaches less than is stated',
      { rope_type: 'yarn', factor: 2, original_max_position_embeddings: 2 },
      16,
    ],
    ['linear', { type: 'linear', factor: 4 }, 64],
    ['linear by half', { type: 'linear', factor: 1.5 }, 24],
    ['dynamic', { type: 'dynamic', factor: 4 }, 16],
    [
      'llama3',
      { type: 'llama3', factor: 8, low_freq_factor: 1, high_freq_factor: 4, original_max_position_embeddings: 2 },
      16,
    ],
    [
      'longrope',
      { type: 'longrope', short_factor: [1], long_factor: [2], original_max_position_embeddings: 4, factor: 4 },
      16,
    ],
    ['none', { type: 'default' }, 16],
  ])('%s', async (_, scaling, reached) => {
    expect(await positions({ rope_scaling: scaling })).toBe(reached)
    expect(await positions({ rope_parameters: { ...scaling, rope_theta: 10_000 } })).toBe(reached)
    // whatever context is asked for, only dynamic scaling follows
    const asked = await positions({ rope_scaling: scaling }, { contextLength: 1024 })
    expect(asked).toBe(scaling.type === 'dynamic' ? 1024 : reached)
  })

  it('the original length beside the scaling comes before the one in it; factors of 0 betas are the defaults', async () => {
    const scaling = { rope_type: 'yarn', factor: 4, original_max_position_embeddings: 16 }
    expect(await positions({ rope_scaling: scaling, original_max_position_embeddings: 8 })).toBe(32)
    const zeros = { ...scaling, beta_fast: 0, beta_slow: 0, mscale: 0 }
    const [one, other] = [await withConfig({ rope_scaling: scaling }), await withConfig({ rope_scaling: zeros })]
    expect(one.spec.layers).toEqual(other.spec.layers)
  })

  it('phi3 calls longrope yarn, and Gemma 3 counts what its scaling gains', async () => {
    const phi = {
      model_type: 'phi3',
      rope_scaling: { type: 'yarn', short_factor: [1], long_factor: [2] },
      original_max_position_embeddings: 4,
    }
    const { phi3 } = await import('./architectures/phi3.ts')
    const { gemma3 } = await import('./architectures/gemma3.ts')
    const { configFields } = await import('./architectures/config-fields.ts')
    expect(phi3.spec(configFields('c', { ...smallConfig, ...phi }), {}).maxPositions).toBe(16)
    const gemma = { ...smallConfig, head_dim: 2, rope_scaling: { rope_type: 'linear', factor: 8 } }
    expect(gemma3.spec(configFields('c', gemma), {}).maxPositions).toBe(16)
  })
})

describe('heads and embeddings', () => {
  const head = (shape: readonly number[]) => ({ ...smallShapes, 'lm_head.weight': shape })

  it('a head that differs from the embedding that it is said to be is used', async () => {
    const checkpoint = await open({ 'model.safetensors': await smallWeights(head([3, 4])) })
    expect(checkpoint.spec.logits.tied).toBe(false)
    const { bytes } = await checkpoint.matrix('lmHead')
    expect(new Float32Array(bytes.slice().buffer)[1]).toBeCloseTo(11.01, 6)
  })

  it('one that is the embedding over again is not', async () => {
    const bytes = await smallWeights(head([3, 4]))
    const data = 8 + Number(new DataView(bytes.buffer).getBigUint64(0, true))
    bytes.copyWithin(bytes.byteLength - 48, data, data + 48)
    expect((await open({ 'model.safetensors': bytes })).spec.logits.tied).toBe(true)
    // one bit of the last number
    bytes[bytes.byteLength - 2] = (bytes[bytes.byteLength - 2] ?? 0) ^ 1
    expect((await open({ 'model.safetensors': bytes })).spec.logits.tied).toBe(false)
    // and where nothing is tied both are there
    const untied = { 'config.json': { ...smallConfig, tie_word_embeddings: false }, 'model.safetensors': bytes }
    expect((await open(untied)).spec.logits.tied).toBe(false)
  })

  it('an embedding that the file has as its head alone', async () => {
    const { 'model.embed_tokens.weight': _, ...rest }: Readonly<Record<string, readonly number[]>> = head([3, 4])
    const checkpoint = await open({ 'model.safetensors': await smallWeights(rest) })
    expect(checkpoint.spec.logits.tied).toBe(true)
    expect((await checkpoint.matrix('tokenEmbedding')).rows).toBe(3)
    const untied = { ...smallConfig, tie_word_embeddings: false }
    const alone = open({ 'config.json': untied, 'model.safetensors': await smallWeights(rest) })
    await expect(alone).rejects.toThrow(/embed_tokens\.weight is missing/)
  })

  it.each([
    ['fewer rows than the configuration says', { vocab_size: 4 }, [3, 4], 3],
    ['rows of padding', { vocab_size: 2 }, [3, 4], 2],
    ['a head with rows of padding', { tie_word_embeddings: false }, [8, 4], 3],
    ['a head with fewer rows', { tie_word_embeddings: false }, [2, 4], 2],
  ])('%s', async (_, fields, shape, vocabSize) => {
    const weights = await smallWeights('tie_word_embeddings' in fields ? head(shape) : smallShapes)
    const checkpoint = await open({ 'config.json': { ...smallConfig, ...fields }, 'model.safetensors': weights })
    expect(checkpoint.spec.vocabSize).toBe(vocabSize)
    for (const name of ['tokenEmbedding', ...(checkpoint.spec.logits.tied ? [] : ['lmHead'])]) {
      const matrix = await checkpoint.matrix(name)
      expect([matrix.rows, matrix.bytes.byteLength]).toEqual([vocabSize, 16 * vocabSize])
    }
  })

  it('buffers of older files are no weights', async () => {
    const buffers = {
      'model.layers.0.self_attn.rotary_emb.inv_freq': [1],
      'model.rotary_emb.inv_freq': [1],
      'model.layers.0.attn.bias': [1, 1, 16, 16],
      'model.layers.0.attn.masked_bias': [],
    }
    const checkpoint = await open({ 'model.safetensors': await smallWeights({ ...smallShapes, ...buffers }) })
    expect(checkpoint.spec.logits.tied).toBe(true)
  })

  it('tokens without a row, and ids of -1', async () => {
    const added = [...smallTokenizer.added_tokens, { id: 3, content: '<pad>', special: true }]
    const checkpoint = await open({ 'tokenizer.json': { ...smallTokenizer, added_tokens: added } })
    expect([checkpoint.spec.vocabSize, checkpoint.tokenizer.vocabSize]).toEqual([3, 4])
    expect(checkpoint.tokenizer.encode('ab<pad>', { special: false })).toEqual([0, 2, 3])
    const none = await withConfig({ bos_token_id: -1, eos_token_id: -1, pad_token_id: -1 })
    expect([none.spec.bosToken, none.spec.eosTokens]).toEqual([null, []])
    expect((await withConfig({ eos_token_id: [-1, 1] })).spec.eosTokens).toEqual([1])
    await expect(withConfig({ eos_token_id: -2 })).rejects.toThrow(/eos_token_id .* got -2/)
  })
})
