import type { Architecture } from './architecture.ts'
import { headsFillWidth } from './gguf-facts.ts'
import { namedActivation } from './named-activation.ts'
import { layerNorm, namedLikeLlama, plainAttention, plainDecoder, plainMlp, preNormLayer } from './plain-decoder.ts'
import { readFrame } from './read-frame.ts'

/**
 * Nemotron-4 and Minitron: layer norms by 1 + weight, half of each head turns, an MLP without a gate of squared ReLU.
 *
 * Parmar et al.: Nemotron-4 15B, 2024, arXiv 2402.16819.
 */
export const nemotron: Architecture = {
  name: 'nemotron',
  modelTypes: ['nemotron'],
  ggufName: 'nemotron',
  gguf: { biases: ['output', 'mlp'], refused: headsFillWidth },
  spec(config, options) {
    const { sizes, heads, rope } = readFrame(config, options, { vocabSize: 256_000, maxPositions: 4096, partial: 0.5 })
    const bias = config.flag('attention_bias', false)
    const norm = layerNorm(config, 'norm_eps', { offset: 1 })
    const attention = plainAttention(heads, rope, { qkvBias: bias, outputBias: bias })
    const activation = namedActivation(config, 'hidden_act', 'relu2')
    const mlp = plainMlp(config.size('intermediate_size'), activation, config.flag('mlp_bias', false))
    const layer = preNormLayer(attention, mlp, norm)
    return plainDecoder('nemotron', sizes, () => layer, norm, { tied: config.flag('tie_word_embeddings', false) })
  },
  weights: namedLikeLlama(),
}
