import type { Architecture } from './architecture.ts'
import { oneNorm } from './gguf-facts.ts'
import { gatedMlp, layerNorm, namedLikeLlama, plainAttention, plainDecoder, preNormLayer } from './plain-decoder.ts'
import { readFrame } from './read-frame.ts'

/**
 * StableLM: layer norms, a quarter of each head turns, biases of queries, keys and values by `use_qkv_bias`; both sublayers
 * over one norm where `use_parallel_residual`, queries and keys by a norm for each head where `qk_layernorm`.
 *
 * Bellagente et al.: Stable LM 2 1.6B, 2024, arXiv 2402.17834.
 */
export const stablelm: Architecture = {
  name: 'stablelm',
  modelTypes: ['stablelm', 'stablelm_epoch'],
  ggufName: 'stablelm',
  gguf: {
    means: ({ has }) => ({ use_parallel_residual: !has('blk.0.ffn_norm.weight') }),
    idle: ['use_parallel_residual'],
    names: (spec) => (spec.layers[0]?.parallel ? oneNorm : {}),
  },
  spec(config, options) {
    const { sizes, heads, rope } = readFrame(config, options, { maxPositions: 4096, partial: 0.25 })
    const norm = layerNorm(config, 'layer_norm_eps')
    const attention = plainAttention(heads, rope, {
      qkNorm: config.flag('qk_layernorm', false) ? { norm: { ...norm, bias: false }, over: 'each head' } : null,
      qkvBias: config.flag('use_qkv_bias', false),
    })
    const parallel = config.flag('use_parallel_residual', false)
    const layer = { ...preNormLayer(attention, gatedMlp(config), norm), parallel }
    return plainDecoder('stablelm', sizes, () => layer, norm, { tied: config.flag('tie_word_embeddings', false) })
  },
  weights: namedLikeLlama({
    'layers.N.norms.beforeMlp': { tensor: ['layers.N.post_attention_layernorm', 'layers.N.input_layernorm'] },
    'layers.N.attention.queryNorm': {
      tensor: 'layers.N.self_attn.q_layernorm.norms.E',
      each: ({ attention }) => attention.numHeads,
    },
    'layers.N.attention.keyNorm': {
      tensor: 'layers.N.self_attn.k_layernorm.norms.E',
      each: ({ attention }) => attention.numKvHeads,
    },
  }),
}
