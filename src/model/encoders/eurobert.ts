import { gatedMlp, namedLikeLlama, plainAttention, readHeads, rmsNorm } from '../architectures/plain-decoder.ts'
import { readRope } from '../architectures/read-rope.ts'
import type { EncoderArchitecture } from './encoder-architecture.ts'
import { checkBidirectional, encoderPreNormLayer, encoderSizes, plainEncoder } from './plain-encoder.ts'

/**
 * EuroBERT: Llama's layers, in which every token sees every other.
 *
 * Boizard et al.: EuroBERT, 2025, arXiv 2503.05500.
 */
export const eurobert: EncoderArchitecture = {
  name: 'eurobert',
  modelTypes: ['eurobert'],
  spec(config, options) {
    checkBidirectional(config)
    const sizes = encoderSizes(config, 8192)
    const heads = readHeads(config, sizes.hiddenSize)
    const rope = readRope(config, {
      ...heads,
      maxPositions: sizes.maxPositions,
      options,
      defaults: { theta: 250_000 },
    })
    const bias = config.flag('attention_bias', false)
    const norm = rmsNorm(config)
    const mlp = gatedMlp(config, { bias: config.flag('mlp_bias', false) })
    const layer = encoderPreNormLayer(plainAttention(heads, rope, { qkvBias: bias, outputBias: bias }), mlp, norm)
    return plainEncoder('eurobert', sizes, () => layer, { finalNorm: norm })
  },
  weights: { prefixes: ['', 'model.'], names: namedLikeLlama().names },
  classifier: null,
}
