import type { Architecture } from './architecture.ts'
import { readWindow } from './layer-types.ts'
import { gatedMlp, namedLikeLlama, plainAttention, plainDecoder, preNormLayer, rmsNorm } from './plain-decoder.ts'
import { readFrame } from './read-frame.ts'

/**
 * Mistral: Llama without biases, all layers over a sliding window. A `sliding_window` of null is none; a configuration
 * without the field has one of 4,096, as in Hugging Face transformers.
 *
 * Jiang et al.: Mistral 7B, 2023, arXiv 2310.06825.
 */
export const mistral: Architecture = {
  name: 'mistral',
  modelTypes: ['mistral'],
  ggufName: 'llama',
  gguf: { reordered: true, divisors: true },
  spec(config, options) {
    const { sizes, heads, rope } = readFrame(config, options, { maxPositions: 4096 * 32 })
    const norm = rmsNorm(config)
    const attention = plainAttention(heads, rope, { window: readWindow(config, 4096) })
    const layer = preNormLayer(attention, gatedMlp(config), norm)
    return plainDecoder('mistral', sizes, () => layer, norm, { tied: config.flag('tie_word_embeddings', false) })
  },
  weights: namedLikeLlama(),
}
