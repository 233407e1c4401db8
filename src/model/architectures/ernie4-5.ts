import type { Architecture } from './architecture.ts'
import { gatedMlp, namedLikeLlama, plainAttention, plainDecoder, preNormLayer, rmsNorm } from './plain-decoder.ts'
import { readFrame } from './read-frame.ts'

/**
 * ERNIE 4.5, dense: Llama whose neighbours turn as pairs, with biases everywhere where `use_bias`.
 *
 * Baidu ERNIE Team: ERNIE 4.5 Technical Report, 2025 (no arXiv number).
 */
export const ernie45: Architecture = {
  name: 'ernie4_5',
  modelTypes: ['ernie4_5'],
  ggufName: 'ernie4_5',
  spec(config, options) {
    const { sizes, heads, rope } = readFrame(config, options, {
      vocabSize: 103_424,
      maxPositions: 131_072,
      headDim: 128,
      interleaved: true,
      theta: 500_000,
    })
    const bias = config.flag('use_bias', false)
    const norm = rmsNorm(config)
    const attention = plainAttention(heads, rope, { qkvBias: bias, outputBias: bias })
    const layer = preNormLayer(attention, gatedMlp(config, { bias }), norm)
    return plainDecoder('ernie4_5', sizes, () => layer, norm, { tied: config.flag('tie_word_embeddings', true) })
  },
  weights: namedLikeLlama(),
}
