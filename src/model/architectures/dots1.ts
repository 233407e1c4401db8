import type { LayerSpec } from '../decoder-spec.ts'
import type { Architecture } from './architecture.ts'
import { routerNames, separateExperts, sharedExpert } from './expert-names.ts'
import { deepseekFields, keysForAllHeads, sigmoidScores } from './gguf-facts.ts'
import { readWindows } from './layer-types.ts'
import { gatedMlp, namedLikeLlama, plainAttention, plainDecoder, preNormLayer, rmsNorm } from './plain-decoder.ts'
import { readFrame } from './read-frame.ts'
import { biasedRouting, gatedExperts, gatedMlpOf, withExperts } from './read-mixture.ts'

/**
 * dots.llm1: DeepSeek-V3's routing and shared experts over plain attention with queries and keys normalised head by head.
 *
 * Huo et al.: dots.llm1 Technical Report, 2025, arXiv 2506.05767.
 */
export const dots1: Architecture = {
  name: 'dots1',
  modelTypes: ['dots1'],
  ggufName: 'dots1',
  gguf: { fields: deepseekFields, only: sigmoidScores, refused: keysForAllHeads },
  idle: ['max_window_layers', 'use_sliding_window', 'scoring_func', 'topk_method', 'moe_layer_freq', 'ep_size'],
  spec(config, options) {
    const { sizes, heads, rope } = readFrame(config, options, { vocabSize: 152_064 })
    const bias = config.flag('attention_bias', false)
    const norm = rmsNorm(config)
    const windows = readWindows(config, sizes.numLayers, { window: null, type: () => 'full_attention' })
    const size = config.size('moe_intermediate_size', 1408)
    const routing = biasedRouting(config)
    const mixture = gatedExperts(config, config.size('n_routed_experts'), size, routing, { selectionBias: true })
    const shared = gatedMlpOf(config, size * (config.token('n_shared_experts') ?? 0))
    const first = config.token('first_k_dense_replace') ?? 0
    const layer = (index: number): LayerSpec => {
      const attention = plainAttention(heads, rope, {
        window: windows[index] ?? null,
        qkNorm: { norm, over: 'head' },
        qkvBias: bias,
        outputBias: bias,
      })
      const dense = preNormLayer(attention, gatedMlp(config), norm)
      return index < first ? dense : withExperts(dense, mixture, shared)
    }
    return plainDecoder('dots1', sizes, layer, norm, { tied: config.flag('tie_word_embeddings', false) })
  },
  weights: namedLikeLlama({
    ...routerNames('layers.N.mlp.gate', 'layers.N.mlp.gate.e_score_correction_bias'),
    ...separateExperts('layers.N.mlp.experts.E'),
    ...sharedExpert('layers.N.mlp.shared_experts'),
  }),
}
