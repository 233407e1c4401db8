import { relu } from '../../nn/index.ts'
import type { Architecture } from './architecture.ts'
import { namedActivation } from './named-activation.ts'
import { namedLikeLlama, plainAttention, plainDecoder, plainMlp, preNormLayer, rmsNorm } from './plain-decoder.ts'
import { readFrame } from './read-frame.ts'

/**
 * Apertus: an MLP without a gate whose activation xIELU has learned slopes, queries and keys normalised head by head,
 * Llama 3's scaling of positions.
 *
 * Project Apertus: Apertus, 2025, arXiv 2509.14233.
 */
export const apertus: Architecture = {
  name: 'apertus',
  modelTypes: ['apertus'],
  spec(config, options) {
    const { sizes, heads, rope } = readFrame(config, options, {
      vocabSize: 131_072,
      maxPositions: 65_536,
      theta: 12_000_000,
    })
    const bias = config.flag('attention_bias', false)
    const norm = rmsNorm(config)
    const attention = plainAttention(heads, rope, {
      qkNorm: { norm, over: 'head' },
      qkvBias: bias,
      outputBias: bias,
    })
    const learned = config.text('hidden_act', 'xielu') === 'xielu'
    const size = config.size('intermediate_size')
    const activation = learned ? relu : namedActivation(config, 'hidden_act')
    const mlp = { ...plainMlp(size, activation, false), ...(learned && { learnedActivation: 'xielu' as const }) }
    const layer = preNormLayer(attention, mlp, norm)
    return plainDecoder('apertus', sizes, () => layer, norm, { tied: config.flag('tie_word_embeddings', false) })
  },
  weights: namedLikeLlama({
    'layers.N.norms.beforeAttention': 'layers.N.attention_layernorm',
    'layers.N.norms.beforeMlp': 'layers.N.feedforward_layernorm',
    'layers.N.mlp.xielu.alphaP': { tensor: 'layers.N.mlp.act_fn.alpha_p', bare: true },
    'layers.N.mlp.xielu.alphaN': { tensor: 'layers.N.mlp.act_fn.alpha_n', bare: true },
    'layers.N.mlp.xielu.beta': { tensor: 'layers.N.mlp.act_fn.beta', bare: true },
    'layers.N.mlp.xielu.eps': { tensor: 'layers.N.mlp.act_fn.eps', bare: true },
  }),
}
