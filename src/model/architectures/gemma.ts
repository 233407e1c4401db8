import type { Architecture } from './architecture.ts'
import { gemmaActivation } from './gemma-fields.ts'
import { gatedMlp, namedLikeLlama, plainAttention, plainDecoder, preNormLayer, rmsNorm } from './plain-decoder.ts'
import { readFrame } from './read-frame.ts'

/**
 * Gemma: embeddings times √hidden, norms by 1 + weight, GeGLU with the tanh approximation (which configurations call "gelu"
 * too), heads as wide as they say.
 *
 * Gemma Team: Gemma, 2024, arXiv 2403.08295.
 */
export const gemma: Architecture = {
  name: 'gemma',
  modelTypes: ['gemma'],
  ggufName: 'gemma',
  gguf: { means: () => ({ tie_word_embeddings: true }) },
  idle: ['hidden_act'],
  spec(config, options) {
    const { sizes, heads, rope } = readFrame(config, options, { vocabSize: 256_000, maxPositions: 8192, headDim: 256 })
    const bias = config.flag('attention_bias', false)
    const norm = rmsNorm(config, 1)
    const attention = plainAttention(heads, rope, { qkvBias: bias, outputBias: bias })
    const layer = preNormLayer(attention, gatedMlp(config, gemmaActivation), norm)
    return plainDecoder('gemma', sizes, () => layer, norm, {
      tied: config.flag('tie_word_embeddings', true),
      embeddingScale: Math.sqrt(sizes.hiddenSize),
    })
  },
  weights: namedLikeLlama(),
}
