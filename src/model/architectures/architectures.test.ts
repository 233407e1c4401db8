import { describe, expect, it } from 'vitest'
import { gelu, geluTanh, silu } from '../../nn/index.ts'
import type { DecoderSpec } from '../decoder-spec.ts'
import { configFields } from './config-fields.ts'
import { findArchitecture } from './find-architecture.ts'
import { weightShapes } from './weight-shapes.ts'

type Config = Record<string, unknown>
const open = (config: Config, contextLength?: number): DecoderSpec => {
  const architecture = findArchitecture('config.json', 'model_type', String(config.model_type))
  return architecture.spec(configFields('config.json', config), contextLength === undefined ? {} : { contextLength })
}
const windows = (spec: DecoderSpec) => spec.layers.map(({ attention }) => attention.window)
const sizes = { hidden_size: 64, intermediate_size: 96, num_attention_heads: 4, num_hidden_layers: 4, vocab_size: 128 }

describe('old and new configurations', () => {
  it('llama: rope_theta and rope_scaling are rope_parameters', () => {
    const llama = {
      ...sizes,
      model_type: 'llama',
      num_key_value_heads: 2,
      max_position_embeddings: 512,
      rms_norm_eps: 1e-5,
    }
    const scaling = { factor: 8, low_freq_factor: 1, high_freq_factor: 4, original_max_position_embeddings: 64 }
    const old = open({ ...llama, rope_theta: 500_000, rope_scaling: { ...scaling, rope_type: 'llama3' } })
    const older = open({ ...llama, rope_theta: 500_000, rope_scaling: { ...scaling, type: 'llama3' } })
    const now = open({ ...llama, rope_parameters: { ...scaling, rope_type: 'llama3', rope_theta: 500_000 } })
    expect(old).toEqual(now)
    expect(older).toEqual(now)
    expect(now.layers).toHaveLength(4)
    expect(now.layers[0]?.attention).toMatchObject({ numHeads: 4, numKvHeads: 2, headDim: 16, scale: 0.25 })
    expect(now.layers[0]?.mlp).toEqual({ size: 96, activation: silu, gated: true, bias: false })
    expect(now.logits.tied).toBe(false)
    const unscaled = open({ ...llama, rope_theta: 500_000, rope_scaling: null })
    expect(unscaled.layers[0]?.attention.rope?.inverseFrequencies[7]).toBeCloseTo(500_000 ** (-14 / 16), 12)
  })

  it('a context beyond what was trained chooses longrope and dynamic factors', () => {
    const phi = {
      ...sizes,
      model_type: 'phi3',
      max_position_embeddings: 131_072,
      original_max_position_embeddings: 4096,
      rope_theta: 10_000,
      // the factors of a head of which three quarters turn
      partial_rotary_factor: 0.75,
      rope_scaling: { type: 'su', short_factor: Array(6).fill(1), long_factor: Array(6).fill(2) },
    }
    const rope = (spec: DecoderSpec) => spec.layers[0]?.attention.rope
    expect(rope(open(phi, 4096))).toMatchObject({ rotaryDim: 12, attentionFactor: Math.sqrt(17 / 12) })
    expect(rope(open(phi, 4096))?.inverseFrequencies[0]).toBe(1)
    expect(rope(open(phi, 4097))?.inverseFrequencies[0]).toBe(0.5)
    expect(rope(open(phi))?.inverseFrequencies[0]).toBe(0.5)

    const dynamic = {
      ...sizes,
      model_type: 'llama',
      max_position_embeddings: 512,
      rope_scaling: { type: 'dynamic', factor: 2 },
    }
    expect(open(dynamic).maxPositions).toBe(512)
    expect(open(dynamic, 2048).maxPositions).toBe(2048)
    expect(rope(open(dynamic, 2048))?.inverseFrequencies[7]).toBeCloseTo(10_000 ** (-14 / 16) / 7, 12)
    expect(open({ ...dynamic, rope_scaling: null }, 2048).maxPositions).toBe(512)
  })

  it('gemma3: the text part of a model of text and images, older names of its rope', () => {
    const text = {
      ...sizes,
      num_hidden_layers: 12,
      rope_scaling: { factor: 8, rope_type: 'linear' },
      rope_theta: 1_000_000,
      rope_local_base_freq: 10_000,
      sliding_window: 32,
      head_dim: 16,
      query_pre_attn_scalar: 16,
    }
    const spec = open({ model_type: 'gemma3', eos_token_id: [1, 106], text_config: text })
    expect(windows(spec)).toEqual([32, 32, 32, 32, 32, null, 32, 32, 32, 32, 32, null])
    const slowest = (layer: number) => spec.layers[layer]?.attention.rope?.inverseFrequencies[7] ?? 0
    expect(slowest(0)).toBeCloseTo(10_000 ** (-14 / 16), 12)
    expect(slowest(5)).toBeCloseTo(1_000_000 ** (-14 / 16) / 8, 12)
    expect(spec.eosTokens).toEqual([1, 106])
    expect(spec.embedding.scale).toBe(8)
    expect(spec.layers[0]?.attention).toMatchObject({ scale: 0.25, qkNorm: { over: 'head', norm: { offset: 1 } } })
    expect(spec.layers[0]?.mlp.activation).toBe(geluTanh)
    expect(
      windows(open({ ...text, model_type: 'gemma3_text', sliding_window_pattern: 2, num_hidden_layers: 2 })),
    ).toEqual([32, null])
  })

  it('windows: which layers have one', () => {
    const mistral = { ...sizes, model_type: 'mistral', num_hidden_layers: 2 }
    expect(windows(open(mistral))).toEqual([4096, 4096])
    expect(windows(open({ ...mistral, sliding_window: null }))).toEqual([null, null])
    expect(windows(open({ ...mistral, sliding_window: 16 }))).toEqual([16, 16])
    const qwen = { ...sizes, model_type: 'qwen2', sliding_window: 16, max_window_layers: 3 }
    expect(windows(open(qwen))).toEqual([null, null, null, null])
    expect(windows(open({ ...qwen, use_sliding_window: true }))).toEqual([null, null, null, 16])
    expect(windows(open({ ...qwen, use_sliding_window: true, max_window_layers: 0 }))).toEqual([16, 16, 16, 16])
    const gemma = { ...sizes, model_type: 'gemma2', sliding_window: 16 }
    expect(windows(open(gemma))).toEqual([16, null, 16, null])
    const full = Array(4).fill('full_attention')
    expect(windows(open({ ...gemma, layer_types: full }))).toEqual([null, null, null, null])
    const smol = { ...sizes, model_type: 'smollm3', use_sliding_window: true, sliding_window: 16 }
    expect(windows(open(smol))).toEqual([null, null, null, 16])
    expect(open(smol).layers.map(({ attention }) => attention.rope !== null)).toEqual([true, true, true, false])
    const turns = open({ ...smol, no_rope_layers: [0, 1, 0, 1] }).layers
    expect(turns.map(({ attention }) => attention.rope !== null)).toEqual([false, true, false, true])
    expect(windows(open({ ...sizes, model_type: 'phi3', sliding_window: 2047 }))).toEqual(Array(4).fill(2047))
  })

  it('what architectures do when nothing is said', () => {
    const gemma = open({ ...sizes, model_type: 'gemma2' })
    expect(gemma.layers[0]?.attention).toMatchObject({ headDim: 256, scale: 1 / 16, softCap: 50 })
    expect(gemma.logits).toEqual({ softCap: 30, tied: true, bias: false })
    const uncapped = open({
      ...sizes,
      model_type: 'gemma2',
      attn_logit_softcapping: null,
      final_logit_softcapping: null,
    })
    expect([uncapped.layers[0]?.attention.softCap, uncapped.logits.softCap]).toEqual([null, null])
    expect(open({ ...sizes, model_type: 'qwen3' }).layers[0]?.attention.headDim).toBe(128)
    expect(open({ ...sizes, model_type: 'smollm3' }).logits.tied).toBe(true)
    const tied = ['llama', 'mistral', 'qwen2', 'qwen3', 'phi3', 'gpt_neox', 'olmo2'].map(
      (name) => open({ ...sizes, model_type: name }).logits.tied,
    )
    expect(tied).toEqual(Array(7).fill(false))

    const neox = open({ ...sizes, model_type: 'gpt_neox', rotary_pct: 0.5, rotary_emb_base: 100 })
    expect(neox.layers[0]?.attention.rope).toMatchObject({ rotaryDim: 8 })
    expect(neox.layers[0]?.attention.rope?.inverseFrequencies[1]).toBeCloseTo(100 ** (-2 / 8), 14)
    expect(neox.layers[0]).toMatchObject({ parallel: true, mlp: { activation: gelu, gated: false } })
    expect(open({ ...sizes, model_type: 'gpt_neox', use_parallel_residual: false }).layers[0]?.parallel).toBe(false)

    const gpt2 = { model_type: 'gpt2', n_embd: 64, n_head: 4, n_layer: 2, vocab_size: 128, n_positions: 32 }
    expect(open(gpt2)).toMatchObject({
      maxPositions: 32,
      embedding: { learnedPositions: true },
      logits: { tied: true },
    })
    expect(open(gpt2).layers[0]?.mlp).toMatchObject({ size: 256, activation: geluTanh })
    const byLayer = open({ ...gpt2, scale_attn_by_inverse_layer_idx: true }).layers.map(
      ({ attention }) => attention.scale,
    )
    expect(byLayer).toEqual([0.25, 0.125])
    expect(open({ ...gpt2, scale_attn_weights: false }).layers[0]?.attention.scale).toBe(1)
  })

  it('biases are asked for where the configuration has them', () => {
    const names = (config: Config) =>
      [...weightShapes(open({ ...sizes, num_hidden_layers: 1, ...config })).keys()].filter((name) =>
        name.endsWith('.bias'),
      )
    const attention = ['query', 'key', 'value', 'output'].map((name) => `layers.0.attention.${name}.bias`)
    expect(names({ model_type: 'llama' })).toEqual([])
    expect(names({ model_type: 'llama', attention_bias: true, mlp_bias: true })).toEqual([
      ...attention,
      ...['gate', 'up', 'down'].map((name) => `layers.0.mlp.${name}.bias`),
    ])
    expect(names({ model_type: 'qwen2' })).toEqual(attention.slice(0, 3))
    expect(names({ model_type: 'gpt_neox' })).toHaveLength(4 + 2 + 3)
    expect(names({ model_type: 'gpt_neox', attention_bias: false })).toHaveLength(2 + 3)
  })
})

describe('configurations that are refused name the file, the field and the value', () => {
  const llama: Config = { ...sizes, model_type: 'llama' }
  const cases: readonly (readonly [string, Config, RegExp])[] = [
    ['unknown architecture', { ...llama, model_type: 'mamba' }, /config\.json: model_type .*"mamba".*llama, mistral/],
    ['missing field', { ...llama, hidden_size: undefined }, /config\.json: hidden_size is missing/],
    ['null field', { ...llama, vocab_size: null }, /vocab_size is missing/],
    ['wrong type', { ...llama, hidden_size: '64' }, /hidden_size must be a whole number from 1, got "64"/],
    ['fraction', { ...llama, num_hidden_layers: 1.5 }, /num_hidden_layers .* got 1\.5/],
    ['zero', { ...llama, intermediate_size: 0 }, /intermediate_size .* got 0/],
    [
      'a flag that is none',
      { ...llama, tie_word_embeddings: 'yes' },
      /tie_word_embeddings must be true or false, got "yes"/,
    ],
    ['heads that do not divide', { ...llama, num_attention_heads: 5 }, /num_attention_heads 5 does not divide .* 64/],
    ['groups that do not divide', { ...llama, num_key_value_heads: 3 }, /num_key_value_heads 3 does not divide 4/],
    ['unknown activation', { ...llama, hidden_act: 'mish' }, /hidden_act .*"mish".*silu/],
    ['unknown rope type', { ...llama, rope_scaling: { type: 'spiral' } }, /rope_scaling\.type .*"spiral".*yarn/],
    ['rope without factor', { ...llama, rope_scaling: { type: 'linear' } }, /rope_scaling\.factor is missing/],
    ['rope factor', { ...llama, rope_scaling: { type: 'linear', factor: -1 } }, /rope_scaling\.factor .* got -1/],
    ['rope that is no object', { ...llama, rope_parameters: 'default' }, /rope_parameters must be an object/],
    [
      'longrope factors',
      { ...llama, rope_scaling: { type: 'longrope', short_factor: [1], long_factor: [1] } },
      /short_factor must have 8 numbers, got 1/,
    ],
    ['partial rope', { ...llama, partial_rotary_factor: 0.2 }, /partial_rotary_factor 0\.2 .* 3 elements/],
    [
      'layer types',
      { ...llama, model_type: 'qwen2', layer_types: ['full_attention'] },
      /layer_types has 1 .* 4 layers/,
    ],
    [
      'a type of layer',
      { ...llama, model_type: 'gemma2', layer_types: Array(4).fill('chunked_attention') },
      /layer_types\[0\] .*chunked_attention/,
    ],
    ['layers without rope', { ...llama, model_type: 'smollm3', no_rope_layers: [1, 2, 1, 1] }, /no_rope_layers\[1\]/],
    ['end tokens', { ...llama, eos_token_id: [1, 'two'] }, /eos_token_id/],
    ['heads of gpt2', { model_type: 'gpt2', n_embd: 64, n_head: 5, n_layer: 1, vocab_size: 9 }, /n_head 5 .* 64/],
  ]
  for (const [name, config, message] of cases)
    it(name, () => {
      const given = Object.fromEntries(Object.entries(config).filter(([, value]) => value !== undefined))
      expect(() => open(given)).toThrow(expect.objectContaining({ code: 'format', where: 'openCheckpoint' }))
      expect(() => open(given)).toThrow(message)
    })

  it('variants that are not computed', () => {
    const both = { ...sizes, model_type: 'gemma3_text', use_bidirectional_attention: true }
    expect(() => open(both)).toThrow(expect.objectContaining({ code: 'unsupported' }))
    const cross = { model_type: 'gpt2', n_embd: 64, n_head: 4, n_layer: 1, vocab_size: 9, add_cross_attention: true }
    expect(() => open(cross)).toThrow(expect.objectContaining({ code: 'unsupported' }))
  })
})
