import { describe, expect, it } from 'vitest'
import type { DecoderSpec } from '../decoder-spec.ts'
import { keptLayers, poolOfLayer } from '../kept-layers.ts'
import { configFields } from './config-fields.ts'
import { findArchitecture } from './find-architecture.ts'
import { weightShapes } from './weight-shapes.ts'

type Config = Record<string, unknown>
const open = (config: Config): DecoderSpec =>
  findArchitecture('config.json', 'model_type', String(config.model_type)).spec(configFields('config.json', config), {})
const sizes = {
  ...{ hidden_size: 32, intermediate_size: 48, num_hidden_layers: 6, num_attention_heads: 4, num_key_value_heads: 2 },
  ...{ head_dim: 8, vocab_size: 101, max_position_embeddings: 256 },
}
const gemma4 = { ...sizes, model_type: 'gemma4_text', hidden_size_per_layer_input: 0 }
const gemma3n = { ...sizes, model_type: 'gemma3n_text', num_kv_shared_layers: 0 }
const heads = ({ layers }: DecoderSpec) => layers.map(({ attention: a }) => [a.numKvHeads, a.headDim, a.window])

describe('gemma4', () => {
  it('heads of layers that see all: per_layer_config, or the older fields', () => {
    const older = open({ ...gemma4, global_head_dim: 16, num_global_key_value_heads: 1, attention_k_eq_v: true })
    const sliding = [2, 8, 512]
    expect(heads(older)).toEqual([sliding, sliding, sliding, sliding, sliding, [1, 16, null]])
    const own = { head_dim: 16, num_key_value_heads: 1 }
    for (const key of ['5', '05', '005'])
      expect(open({ ...gemma4, attention_k_eq_v: true, per_layer_config: { [key]: own } })).toEqual(older)
    expect(older.layers.map(({ attention }) => attention.keysAsValues)).toEqual([...Array(5).fill(undefined), true])
    // without keys that serve as values the number of heads is the usual one
    const apart = open({ ...gemma4, global_head_dim: 16, num_global_key_value_heads: 1 })
    expect(heads(apart)[5]).toEqual([2, 16, null])
    expect(heads(open(gemma4))[5]).toEqual([2, 512, null])
    expect(weightShapes(older).has('layers.5.attention.value')).toBe(false)
    expect(weightShapes(older).get('layers.5.attention.key')).toEqual([16, 32])
  })

  it('rotary positions: by default those of the models, the last layer always sees all', () => {
    const types = Array(6).fill('sliding_attention')
    const plain = open({ ...gemma4, layer_types: types, global_head_dim: 16 })
    expect(heads(plain)[5]).toEqual([2, 16, null])
    const { rope } = plain.layers[5]?.attention ?? {}
    expect(rope?.inverseFrequencies).toEqual([1, 1e6 ** (-2 / 16), 0, 0, 0, 0, 0, 0])
    const full = { rope_type: 'proportional', rope_theta: 1e6, partial_rotary_factor: 0.25 }
    const said = { full_attention: full, sliding_attention: { rope_type: 'default', rope_theta: 1e4 } }
    expect(open({ ...gemma4, layer_types: types, global_head_dim: 16, rope_parameters: said })).toEqual(plain)
  })

  it('last layers read the keys of the last layer of their type before them, and only the others have pools', () => {
    const types = [0, 1, 0, 1, 0, 1].map((full) => (full ? 'full_attention' : 'sliding_attention'))
    const shared = open({ ...gemma4, layer_types: types, num_kv_shared_layers: 3, use_double_wide_mlp: true })
    expect(shared.layers.map(({ attention }) => attention.keysFrom)).toEqual([undefined, undefined, undefined, 1, 2, 1])
    expect(shared.layers.map(({ mlp }) => mlp.size)).toEqual([48, 48, 48, 96, 96, 96])
    expect(keptLayers(shared)).toHaveLength(3)
    expect(poolOfLayer(shared)).toEqual([0, 1, 2, 1, 2, 1])
    const names = [...weightShapes(shared).keys()].filter((name) => name.startsWith('layers.4.attention'))
    expect(names.sort()).toEqual(['output', 'query', 'queryNorm'].map((name) => `layers.4.attention.${name}`))
    expect(() => open({ ...gemma4, num_kv_shared_layers: 6 })).toThrow(/num_kv_shared_layers leaves none/)
    expect(() => open({ ...gemma4, num_kv_shared_layers: 2 })).toThrow(/no full_attention layer before layer 5/)
  })

  it('the text part of a larger model is the same', () => {
    const { model_type: _, ...text } = gemma4
    const outer = open({ model_type: 'gemma4', text_config: { ...text, model_type: 'gemma4_text' }, vision_config: {} })
    expect(outer).toEqual(open(gemma4))
    expect(() => open({ ...gemma4, use_bidirectional_attention: 'all' })).toThrow(/is no decoder/)
    expect(open({ ...gemma4, use_bidirectional_attention: 'vision' })).toEqual(open(gemma4))
    expect(() => open({ ...gemma4, enable_moe_block: true, top_k_experts: 2 })).toThrow(/num_experts is missing/)
    const { hidden_size_per_layer_input: __, ...silent } = gemma4
    expect(weightShapes(open(silent)).get('perLayer.table')).toEqual([262_144, 6 * 256])
  })
})

describe('gemma3n', () => {
  it('widths and shares of gates: for each layer, or one for all', () => {
    const one = open({ ...gemma3n, activation_sparsity_pattern: 0.95 })
    const list = { intermediate_size: Array(6).fill(48), activation_sparsity_pattern: Array(6).fill(0.95) }
    expect(open({ ...gemma3n, ...list })).toEqual(one)
    for (const { mlp } of one.layers) expect(mlp.gateDeviations).toBeCloseTo(1.6448536269514722, 12)
    // the first ten of more than ten layers, unless something is said
    expect(open(gemma3n).layers.every(({ mlp }) => mlp.gateDeviations === undefined)).toBe(true)
    const twelve = open({ ...gemma3n, num_hidden_layers: 12 })
    expect(twelve.layers.map(({ mlp }) => mlp.gateDeviations !== undefined)).toEqual([
      ...Array(10).fill(true),
      ...[false, false],
    ])
    const wrong = [[1.5, 0, 0, 0, 0, 0], [0.5], ['a', 0, 0, 0, 0, 0], -1, 1.5, 'all']
    for (const activation_sparsity_pattern of wrong)
      expect(() => open({ ...gemma3n, activation_sparsity_pattern })).toThrow(/activation_sparsity_pattern/)
  })

  it('widths that are none are refused', () => {
    for (const intermediate_size of [48.5, [48, 48], [48, 48, 48, 48, 48, 0], 0])
      expect(() => open({ ...gemma3n, intermediate_size })).toThrow(/intermediate_size/)
  })

  it('streams, rotary bases and what cannot be', () => {
    const spec = open(gemma3n)
    expect(spec.streams).toMatchObject({ count: 4, active: 0, scale: true, routerFactor: 1 / 32 })
    expect(spec.layers[4]?.attention.rope?.inverseFrequencies[1]).toBeCloseTo(1e6 ** (-2 / 8), 12)
    expect(spec.layers[0]?.attention.rope?.inverseFrequencies[1]).toBeCloseTo(1e4 ** (-2 / 8), 12)
    expect(spec.logits.softCap).toBe(30)
    expect(() => open({ ...gemma3n, altup_active_idx: 4 })).toThrow(/altup_active_idx must be below the 4 streams/)
    expect(() => open({ ...gemma3n, altup_num_inputs: 10 })).toThrow(/altup_num_inputs must be at most 9/)
    expect(() => open({ ...sizes, model_type: 'gemma3n_text' })).toThrow(/num_kv_shared_layers leaves none/)
  })
})
