import type { LayerSpec } from '../decoder-spec.ts'
import type { Architecture } from './architecture.ts'
import { gatedMlp, namedLikeLlama, plainAttention, plainDecoder, preNormLayer, rmsNorm } from './plain-decoder.ts'
import { experts, ggufExperts, idle, mixtureOf, sparseOf } from './qwen-experts.ts'
import { qwenWindows } from './qwen2.ts'
import { readFrame } from './read-frame.ts'
import { gatedMlpOf, withExperts } from './read-mixture.ts'

/**
 * Qwen 3 with experts: queries and keys normalised head by head, weights normalised over the chosen where `norm_topk_prob`.
 *
 * Yang et al.: Qwen3 Technical Report, 2025, arXiv 2505.09388.
 */
export const qwen3Moe: Architecture = {
  name: 'qwen3_moe',
  modelTypes: ['qwen3_moe'],
  ggufName: 'qwen3moe',
  gguf: { fields: ggufExperts, means: () => ({ norm_topk_prob: true }) },
  idle,
  spec(config, options) {
    const { sizes, heads, rope } = readFrame(config, options, { maxPositions: 32_768 })
    const norm = rmsNorm(config)
    const mixture = mixtureOf(config, { experts: 128, perToken: 8, size: 768 })
    const none = gatedMlpOf(config, 0)
    const windows = qwenWindows(config, sizes.numLayers)
    const sparse = sparseOf(config, sizes.numLayers)
    const bias = config.flag('attention_bias', false)
    const layer = (index: number): LayerSpec => {
      const attention = plainAttention(heads, rope, {
        qkNorm: { norm, over: 'head' },
        qkvBias: bias,
        outputBias: bias,
        window: windows[index] ?? null,
      })
      const dense = preNormLayer(attention, gatedMlp(config), norm)
      return sparse[index] ? withExperts(dense, mixture, none) : dense
    }
    return plainDecoder('qwen3_moe', sizes, layer, norm, { tied: config.flag('tie_word_embeddings', false) })
  },
  weights: namedLikeLlama(experts),
}
