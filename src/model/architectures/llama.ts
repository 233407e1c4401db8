import type { Architecture } from './architecture.ts'
import { gatedMlp, namedLikeLlama, plainAttention, plainDecoder, preNormLayer, rmsNorm } from './plain-decoder.ts'
import { readFrame } from './read-frame.ts'

/**
 * Llama: RMS norms before attention and MLP, rotary positions, SwiGLU, grouped heads; biases where the configuration
 * says so.
 *
 * Touvron et al., 2023, arXiv 2302.13971 and 2307.09288; Grattafiori et al., 2024, arXiv 2407.21783.
 */
export const llama: Architecture = {
  name: 'llama',
  modelTypes: ['llama'],
  ggufName: 'llama',
  gguf: { reordered: true, divisors: true },
  spec(config, options) {
    const { sizes, heads, rope } = readFrame(config, options)
    const bias = config.flag('attention_bias', false)
    const norm = rmsNorm(config)
    const attention = plainAttention(heads, rope, { qkvBias: bias, outputBias: bias })
    const mlp = gatedMlp(config, { bias: config.flag('mlp_bias', false) })
    const layer = preNormLayer(attention, mlp, norm)
    return plainDecoder('llama', sizes, () => layer, norm, { tied: config.flag('tie_word_embeddings', false) })
  },
  weights: namedLikeLlama(),
}
