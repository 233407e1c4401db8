import type { Architecture } from './architecture.ts'
import { readWindow } from './layer-types.ts'
import { namedActivation } from './named-activation.ts'
import { layerNorm, namedLikeLlama, plainAttention, plainDecoder, plainMlp, preNormLayer } from './plain-decoder.ts'
import { readFrame } from './read-frame.ts'

/**
 * StarCoder2: layer norms, an MLP without a gate, biases everywhere by `use_bias`, all layers over a sliding window.
 *
 * Lozhkov et al.: StarCoder 2 and The Stack v2, 2024, arXiv 2402.19173.
 */
export const starcoder2: Architecture = {
  name: 'starcoder2',
  modelTypes: ['starcoder2'],
  ggufName: 'starcoder2',
  gguf: { biases: ['output', 'mlp'] },
  spec(config, options) {
    const { sizes, heads, rope } = readFrame(config, options, { maxPositions: 4096 })
    const bias = config.flag('use_bias', true)
    const norm = layerNorm(config, 'norm_epsilon')
    const window = readWindow(config, null)
    const attention = plainAttention(heads, rope, { window, qkvBias: bias, outputBias: bias })
    const activation = namedActivation(config, 'hidden_act', 'gelu_pytorch_tanh')
    const layer = preNormLayer(attention, plainMlp(config.size('intermediate_size'), activation, bias), norm)
    return plainDecoder('starcoder2', sizes, () => layer, norm, { tied: config.flag('tie_word_embeddings', true) })
  },
  weights: namedLikeLlama({
    'layers.N.mlp.up': 'layers.N.mlp.c_fc',
    'layers.N.mlp.down': 'layers.N.mlp.c_proj',
  }),
}
