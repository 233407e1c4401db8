import type { LayerSpec } from '../decoder-spec.ts'
import type { Architecture } from './architecture.ts'
import { sharedExpert } from './expert-names.ts'
import { headsFillWidth } from './gguf-facts.ts'
import { gatedMlp, namedLikeLlama, plainAttention, plainDecoder, preNormLayer, rmsNorm } from './plain-decoder.ts'
import { experts, ggufExperts, idle, mixtureOf, sparseOf } from './qwen-experts.ts'
import { qwenWindows } from './qwen2.ts'
import { readFrame } from './read-frame.ts'
import { gatedMlpOf, withExperts } from './read-mixture.ts'

/**
 * Qwen 1.5 and 2 with experts: weights are not normalised over the chosen unless `norm_topk_prob`, and a shared expert is
 * let through by a sigmoid gate.
 *
 * Yang et al.: Qwen2 Technical Report, 2024, arXiv 2407.10671.
 */
export const qwen2Moe: Architecture = {
  name: 'qwen2_moe',
  modelTypes: ['qwen2_moe'],
  ggufName: 'qwen2moe',
  gguf: {
    fields: { ...ggufExperts, shared_expert_intermediate_size: 'expert_shared_feed_forward_length' },
    means: () => ({ norm_topk_prob: false, tie_word_embeddings: false }),
    refused: headsFillWidth,
  },
  idle,
  spec(config, options) {
    const { sizes, heads, rope } = readFrame(config, options, { maxPositions: 32_768 })
    const norm = rmsNorm(config)
    const mixture = { ...mixtureOf(config, { experts: 60, perToken: 4, size: 1408 }), sharedGate: true as const }
    const shared = gatedMlpOf(config, config.size('shared_expert_intermediate_size', 5632))
    const windows = qwenWindows(config, sizes.numLayers)
    const sparse = sparseOf(config, sizes.numLayers)
    const bias = config.flag('qkv_bias', true)
    const layer = (index: number): LayerSpec => {
      const attention = plainAttention(heads, rope, { qkvBias: bias, window: windows[index] ?? null })
      const dense = preNormLayer(attention, gatedMlp(config), norm)
      return sparse[index] ? withExperts(dense, mixture, shared) : dense
    }
    return plainDecoder('qwen2_moe', sizes, layer, norm, { tied: config.flag('tie_word_embeddings', false) })
  },
  weights: namedLikeLlama({
    ...experts,
    ...sharedExpert('layers.N.mlp.shared_expert'),
    'layers.N.mixture.sharedGate': 'layers.N.mlp.shared_expert_gate',
  }),
}
