import type { Architecture } from './architecture.ts'
import { gatedMlp, namedLikeLlama, plainAttention, plainDecoder, preNormLayer, rmsNorm } from './plain-decoder.ts'
import { qwenWindows } from './qwen2.ts'
import { readFrame } from './read-frame.ts'

/**
 * Qwen 3: queries and keys are normalised head by head before rope, heads of 128 whatever the hidden size, no biases
 * unless `attention_bias`.
 *
 * Yang et al.: Qwen3 Technical Report, 2025, arXiv 2505.09388.
 */
export const qwen3: Architecture = {
  name: 'qwen3',
  modelTypes: ['qwen3'],
  ggufName: 'qwen3',
  // windows that are switched off
  idle: ['sliding_window', 'max_window_layers'],
  spec(config, options) {
    const { sizes, heads, rope } = readFrame(config, options, { maxPositions: 32_768, headDim: 128 })
    const bias = config.flag('attention_bias', false)
    const norm = rmsNorm(config)
    const mlp = gatedMlp(config)
    const windows = qwenWindows(config, sizes.numLayers)
    const layer = (index: number) => {
      const attention = plainAttention(heads, rope, {
        qkNorm: { norm, over: 'head' },
        qkvBias: bias,
        outputBias: bias,
        window: windows[index] ?? null,
      })
      return preNormLayer(attention, mlp, norm)
    }
    return plainDecoder('qwen3', sizes, layer, norm, { tied: config.flag('tie_word_embeddings', false) })
  },
  weights: namedLikeLlama(),
}
