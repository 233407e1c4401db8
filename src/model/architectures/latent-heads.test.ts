import { describe, expect, it } from 'vitest'
import { configFields } from './config-fields.ts'
import { readLatent } from './latent-heads.ts'
import { readSizes } from './plain-decoder.ts'

const stated = {
  ...{ vocab_size: 100, hidden_size: 64, num_hidden_layers: 2, num_attention_heads: 4, max_position_embeddings: 1024 },
  ...{ q_lora_rank: 24, kv_lora_rank: 20, qk_nope_head_dim: 12, qk_rope_head_dim: 8, v_head_dim: 10 },
}
const defaults = { queryRank: 1536, rank: 512, nopeDim: 128, ropeDim: 64, valueDim: 128, interleaved: true }
const read = (change: Readonly<Record<string, unknown>>) => {
  const config = configFields('config.json', { ...stated, ...change })
  return readLatent(config, readSizes(config, {}), {}, defaults)
}

describe('latent attention of a configuration', () => {
  it('is one head of latent and turned key, with the scale of the heads that it stands for', () => {
    const spec = read({ rms_norm_eps: 1e-3 })
    expect(spec).toMatchObject({ numHeads: 4, numKvHeads: 1, headDim: 28, valueDim: 20, scale: 20 ** -0.5 })
    expect(spec.rope).toMatchObject({ rotaryDim: 8, interleaved: true })
    // the norms of latents have an eps of their own
    expect(spec.latent).toMatchObject({ query: { rank: 24, norm: { eps: 1e-6 } }, norm: { eps: 1e-6 }, valueDim: 10 })
  })
  it('q_lora_rank that is null says that queries come of the input, absent it is the default', () => {
    expect(read({ q_lora_rank: null }).latent?.query).toBeNull()
    const { q_lora_rank: _, ...rest } = stated
    const config = configFields('config.json', rest)
    expect(readLatent(config, readSizes(config, {}), {}, defaults).latent?.query?.rank).toBe(1536)
  })
  it('mscale_all_dim of YaRN sharpens scores, and only where it stretches', () => {
    const yarn = {
      rope_type: 'yarn',
      factor: 8,
      original_max_position_embeddings: 128,
      mscale: 0.7,
      mscale_all_dim: 0.7,
    }
    const sharpness = (0.07 * Math.log(8) + 1) ** 2
    expect(read({ rope_scaling: yarn }).scale).toBeCloseTo(sharpness * 20 ** -0.5, 12)
    expect(read({ rope_scaling: yarn }).rope?.attentionFactor).toBe(1)
    expect(read({ rope_scaling: { ...yarn, mscale_all_dim: 0 } }).scale).toBe(20 ** -0.5)
    expect(read({ rope_scaling: { ...yarn, factor: 1 } }).scale).toBe(20 ** -0.5)
  })
  it('biases need a latent of queries', () => {
    expect(read({ attention_bias: true })).toMatchObject({ qkvBias: true, outputBias: true })
    expect(() => read({ attention_bias: true, q_lora_rank: null })).toThrow(/attention_bias.*q_lora_rank is null/)
  })
})
