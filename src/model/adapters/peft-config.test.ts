import { describe, expect, it } from 'vitest'
import { readPeftConfig } from './peft-config.ts'

type Fields = Readonly<Record<string, unknown>>

const plain = { peft_type: 'LORA', task_type: 'CAUSAL_LM', r: 4, lora_alpha: 16, target_modules: ['q_proj'] }
const read = (fields: Fields, ignored?: readonly string[]) =>
  readPeftConfig('a/adapter_config.json', { ...plain, ...fields }, ignored)

describe('adapter_config.json', () => {
  it.each<Fields>([
    { init_lora_weights: 'pissa' },
    { init_lora_weights: 'pissa_niter_16' },
    { init_lora_weights: 'olora' },
    { init_lora_weights: 'corda' },
    { init_lora_weights: 'loftq' },
    { init_lora_weights: 'lora_ga' },
    { init_lora_weights: 'mica' },
    { alora_invocation_tokens: [5, 6] },
    { alora_invocation_tokens: [0] },
    { use_qalora: true },
    { layer_replication: [[0, 1]] },
    { use_dora: true },
    { lora_bias: true },
    { bias: 'lora_only' },
    { modules_to_save: ['lm_head'] },
    { trainable_token_indices: [0] },
    { trainable_token_indices: { embed_tokens: [1] } },
    { target_parameters: ['mlp.experts.gate_up_proj'] },
    { rank_pattern: { q_proj: 8 } },
    { alpha_pattern: { q_proj: 32 } },
    { megatron_config: { tensor_model_parallel_size: 2 } },
    { use_bdlora: { nblocks: 2 } },
    { arrow_config: { top_k: 2 } },
    { kasa_config: { beta: 1e-4 } },
    { monteclora_config: { num_samples: 2 } },
    { a_setting_of_next_year: 0.5 },
  ])('%j is refused by name, and read past when the caller says so', (fields) => {
    const [name = ''] = Object.keys(fields)
    expect(() => read(fields)).toThrow(expect.objectContaining({ code: 'unsupported', where: 'loadPeft' }))
    expect(() => read(fields)).toThrow(`adapter_config.json: ${name} is ${JSON.stringify(fields[name])}`)
    expect(read(fields, [name])).toEqual({ rank: 4, alpha: 16, rankStabilised: false })
  })

  it('what changes nothing passes', () => {
    const quiet = {
      auto_mapping: null,
      base_model_name_or_path: 'x/y',
      revision: 'main',
      peft_version: '0.21.0',
      inference_mode: true,
      exclude_modules: ['v_proj'],
      layers_to_transform: [0, 3],
      layers_pattern: 'layers',
      lora_dropout: 0.1,
      fan_in_fan_out: true,
      loftq_config: { loftq_bits: 4 },
      eva_config: { rho: 2 },
      corda_config: null,
      qalora_group_size: 16,
      megatron_config: null,
      megatron_core: 'megatron.core',
      modules_to_save: [],
      rank_pattern: { q_proj: 4 },
      alpha_pattern: { q_proj: 16, v_proj: 16 },
      bias: 'none',
      use_dora: false,
      use_qalora: false,
      alora_invocation_tokens: null,
      layer_replication: null,
      trainable_token_indices: null,
      target_parameters: null,
    }
    for (const init_lora_weights of [true, false, null, 'gaussian', 'eva', 'orthogonal'])
      expect(read({ ...quiet, init_lora_weights, use_rslora: true })).toEqual({
        rank: 4,
        alpha: 16,
        rankStabilised: true,
      })
    expect(read({})).toEqual({ rank: 4, alpha: 16, rankStabilised: false })
  })

  it('what is of the wrong kind', () => {
    for (const fields of [
      { r: 0 },
      { r: 2.5 },
      { lora_alpha: '16' },
      { lora_alpha: Number.POSITIVE_INFINITY },
      { use_rslora: 'yes' },
    ])
      expect(() => read(fields)).toThrow(expect.objectContaining({ code: 'format' }))
    expect(() => readPeftConfig('a', [])).toThrow(/no JSON object/)
  })
})
