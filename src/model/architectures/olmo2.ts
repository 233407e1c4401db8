import type { LayerSpec } from '../decoder-spec.ts'
import type { Architecture } from './architecture.ts'
import { afterNames, gatedMlp, namedLikeLlama, plainAttention, plainDecoder, rmsNorm } from './plain-decoder.ts'
import { readFrame } from './read-frame.ts'

/**
 * OLMo 2: norms only after attention and MLP, before they are added; queries and keys are normalised over all heads at
 * once.
 *
 * OLMo Team: 2 OLMo 2 Furious, 2025, arXiv 2501.00656.
 */
export const olmo2: Architecture = {
  name: 'olmo2',
  modelTypes: ['olmo2'],
  ggufName: 'olmo2',
  spec(config, options) {
    const { sizes, heads, rope } = readFrame(config, options)
    const bias = config.flag('attention_bias', false)
    const norm = rmsNorm(config)
    const qkNorm = { norm, over: 'all' } as const
    const layer: LayerSpec = {
      attention: plainAttention(heads, rope, { qkNorm, qkvBias: bias, outputBias: bias }),
      mlp: gatedMlp(config),
      norms: { beforeAttention: null, afterAttention: norm, beforeMlp: null, afterMlp: norm },
      parallel: false,
    }
    return plainDecoder('olmo2', sizes, () => layer, norm, { tied: config.flag('tie_word_embeddings', false) })
  },
  weights: namedLikeLlama(afterNames),
}
