import type { LayerSpec } from '../decoder-spec.ts'
import type { Architecture } from './architecture.ts'
import { routerNames, separateExperts, sharedExpert } from './expert-names.ts'
import { deepseekFields, ranLayers, sigmoidScores } from './gguf-facts.ts'
import { everyNth, readWindows } from './layer-types.ts'
import { gatedMlp, namedLikeLlama, plainAttention, plainDecoder, preNormLayer, rmsNorm } from './plain-decoder.ts'
import { readFrame } from './read-frame.ts'
import { biasedRouting, gatedExperts, gatedMlpOf, sparseLayers, withExperts } from './read-mixture.ts'

/**
 * EXAONE with experts: EXAONE 4's attention (windows with rotary positions, full layers without), norms before sublayers,
 * DeepSeek-V3's routing, shared experts.
 *
 * LG AI Research: K-EXAONE, 2026, arXiv 2601.01739.
 */
export const exaoneMoe: Architecture = {
  name: 'exaone_moe',
  modelTypes: ['exaone_moe'],
  ggufName: 'exaone-moe',
  gguf: {
    fields: { ...deepseekFields, num_experts: 'expert_count', num_shared_experts: 'expert_shared_count' },
    only: sigmoidScores,
    means: ranLayers,
    divisors: true,
  },
  idle: [
    'sliding_window_pattern',
    'first_k_dense_replace',
    'scoring_func',
    'topk_method',
    'num_nextn_predict_layers',
    'is_moe_layer',
  ],
  spec(config, options) {
    const { sizes, heads, rope } = readFrame(config, options)
    const norm = rmsNorm(config)
    const windows = readWindows(config, sizes.numLayers, { window: 4096, type: everyNth(4) })
    const size = config.size('moe_intermediate_size')
    const routing = biasedRouting(config)
    const mixture = gatedExperts(config, config.size('num_experts'), size, routing, { selectionBias: true })
    const shared = gatedMlpOf(config, size * (config.token('num_shared_experts') ?? 0))
    const sparse = sparseLayers(config, sizes.numLayers, config.token('first_k_dense_replace') ?? 0)
    const layer = (index: number): LayerSpec => {
      const window = windows[index] ?? null
      const attention = plainAttention(heads, window === null ? null : rope, { window, qkNorm: { norm, over: 'head' } })
      const dense = preNormLayer(attention, gatedMlp(config), norm)
      return sparse[index] ? withExperts(dense, mixture, shared) : dense
    }
    return plainDecoder('exaone_moe', sizes, layer, norm, { tied: config.flag('tie_word_embeddings', false) })
  },
  weights: namedLikeLlama({
    ...routerNames('layers.N.mlp.gate', 'layers.N.mlp.e_score_correction_bias'),
    ...separateExperts('layers.N.mlp.experts.E'),
    ...sharedExpert('layers.N.mlp.shared_experts'),
  }),
}
