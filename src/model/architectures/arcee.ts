import type { Architecture } from './architecture.ts'
import { namedActivation } from './named-activation.ts'
import { namedLikeLlama, plainAttention, plainDecoder, plainMlp, preNormLayer, rmsNorm } from './plain-decoder.ts'
import { readFrame } from './read-frame.ts'

/**
 * Arcee AFM: Llama with an MLP without a gate, of squared ReLU.
 *
 * Arcee AI: AFM-4.5B, 2025 (no paper).
 */
export const arcee: Architecture = {
  name: 'arcee',
  modelTypes: ['arcee'],
  ggufName: 'arcee',
  gguf: { reordered: true, divisors: true },
  spec(config, options) {
    const { sizes, heads, rope } = readFrame(config, options, { maxPositions: 4096 })
    const bias = config.flag('attention_bias', false)
    const norm = rmsNorm(config)
    const attention = plainAttention(heads, rope, { qkvBias: bias, outputBias: bias })
    const activation = namedActivation(config, 'hidden_act', 'relu2')
    const mlp = plainMlp(config.size('intermediate_size'), activation, config.flag('mlp_bias', false))
    const layer = preNormLayer(attention, mlp, norm)
    return plainDecoder('arcee', sizes, () => layer, norm, { tied: config.flag('tie_word_embeddings', false) })
  },
  weights: namedLikeLlama(),
}
