import { FoveaError } from '../../tile/index.ts'
import type { Architecture } from './architecture.ts'
import { oneNorm } from './gguf-facts.ts'
import { namedActivation } from './named-activation.ts'
import { layerNorm, namedLikeLlama, plainAttention, plainDecoder, plainMlp, preNormLayer } from './plain-decoder.ts'
import { readFrame } from './read-frame.ts'

/**
 * Phi-1 and Phi-2: attention and MLP side by side over one layer norm, a part of each head turns, biases everywhere, in the
 * head too.
 *
 * Li et al.: Textbooks Are All You Need II, 2023, arXiv 2309.05463.
 */
export const phi: Architecture = {
  name: 'phi',
  modelTypes: ['phi'],
  ggufName: 'phi2',
  gguf: { names: () => oneNorm, biases: ['output', 'mlp'] },
  spec(config, options) {
    if (config.flag('qk_layernorm', false))
      throw new FoveaError('unsupported', 'openCheckpoint', `${config.file}: qk_layernorm of phi is not computed here`)
    const { sizes, heads, rope } = readFrame(config, options, { vocabSize: 51_200, partial: 0.5 })
    const norm = layerNorm(config, 'layer_norm_eps')
    const attention = plainAttention(heads, rope, { qkvBias: true, outputBias: true })
    const activation = namedActivation(config, 'hidden_act', 'gelu_new')
    const mlp = plainMlp(config.size('intermediate_size'), activation, true)
    const layer = { ...preNormLayer(attention, mlp, norm), parallel: true }
    return plainDecoder('phi', sizes, () => layer, norm, {
      tied: config.flag('tie_word_embeddings', false),
      headBias: true,
    })
  },
  weights: namedLikeLlama({
    finalNorm: 'final_layernorm',
    'layers.N.attention.output': 'layers.N.self_attn.dense',
    'layers.N.mlp.up': 'layers.N.mlp.fc1',
    'layers.N.mlp.down': 'layers.N.mlp.fc2',
    'layers.N.norms.beforeMlp': 'layers.N.input_layernorm',
  }),
}
