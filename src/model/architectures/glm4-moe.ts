import type { LayerSpec } from '../decoder-spec.ts'
import type { Architecture } from './architecture.ts'
import { routerNames, separateExperts, sharedExpert } from './expert-names.ts'
import { deepseekFields, laterNorm, ranLayers, sigmoidScores } from './gguf-facts.ts'
import { gatedMlp, namedLikeLlama, plainAttention, plainDecoder, preNormLayer, rmsNorm } from './plain-decoder.ts'
import { readFrame } from './read-frame.ts'
import { biasedRouting, gatedExperts, gatedMlpOf, withExperts } from './read-mixture.ts'

/**
 * GLM-4.5: DeepSeek-V3's routing over plain attention; half of each head turns (halves as pairs), queries and keys
 * normalised head by head where `use_qk_norm`, a shared expert, the first layers dense.
 *
 * GLM-4.5 Team: GLM-4.5, 2025, arXiv 2508.06471.
 */
export const glm4Moe: Architecture = {
  name: 'glm4_moe',
  modelTypes: ['glm4_moe'],
  ggufName: 'glm4moe',
  gguf: {
    fields: deepseekFields,
    only: sigmoidScores,
    means: ranLayers,
    names: () => laterNorm,
  },
  // layers that foresee further tokens are not run
  idle: ['num_nextn_predict_layers'],
  spec(config, options) {
    const { sizes, heads, rope } = readFrame(config, options, { maxPositions: 131_072, headDim: 128, partial: 0.5 })
    const norm = rmsNorm(config)
    const attention = plainAttention(heads, rope, {
      qkNorm: config.flag('use_qk_norm', false) ? { norm, over: 'head' } : null,
      qkvBias: config.flag('attention_bias', false),
    })
    const dense = preNormLayer(attention, gatedMlp(config), norm)
    const size = config.size('moe_intermediate_size', 1408)
    const routing = biasedRouting(config, { perToken: 8 })
    const mixture = gatedExperts(config, config.size('n_routed_experts', 128), size, routing, { selectionBias: true })
    const sparse = withExperts(dense, mixture, gatedMlpOf(config, size * config.size('n_shared_experts', 1)))
    const first = config.token('first_k_dense_replace') ?? 1
    const layer = (index: number): LayerSpec => (index < first ? dense : sparse)
    return plainDecoder('glm4_moe', sizes, layer, norm, { tied: config.flag('tie_word_embeddings', false) })
  },
  weights: namedLikeLlama({
    ...routerNames('layers.N.mlp.gate', 'layers.N.mlp.gate.e_score_correction_bias'),
    ...separateExperts('layers.N.mlp.experts.E'),
    ...sharedExpert('layers.N.mlp.shared_experts'),
  }),
}
