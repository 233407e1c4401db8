import type { LayerSpec } from '../decoder-spec.ts'
import type { Architecture } from './architecture.ts'
import { gemmaActivation, gemmaIdle, readSoftCap, sandwichNames } from './gemma-fields.ts'
import { readLayerTypes, readWindow } from './layer-types.ts'
import { gatedMlp, namedLikeLlama, plainAttention, plainDecoder, rmsNorm } from './plain-decoder.ts'
import { readFrame } from './read-frame.ts'

/**
 * Gemma 2: embeddings times √hidden, norms by 1 + weight before and after attention and MLP, GeGLU, scores by
 * query_pre_attn_scalar^−½ and capped, logits capped, every other layer (the first among them) over a sliding window.
 *
 * Gemma Team: Gemma 2, 2024, arXiv 2408.00118.
 */
export const gemma2: Architecture = {
  name: 'gemma2',
  modelTypes: ['gemma2'],
  ggufName: 'gemma2',
  idle: gemmaIdle,
  spec(config, options) {
    const { sizes, heads, rope } = readFrame(config, options, { vocabSize: 256_000, maxPositions: 8192, headDim: 256 })
    const bias = config.flag('attention_bias', false)
    const norm = rmsNorm(config, 1)
    const norms = { beforeAttention: norm, afterAttention: norm, beforeMlp: norm, afterMlp: norm }
    const mlp = gatedMlp(config, gemmaActivation)
    const window = readWindow(config, 4096)
    const softCap = readSoftCap(config, 'attn_logit_softcapping', 50)
    const scale = 1 / Math.sqrt(config.positive('query_pre_attn_scalar', 256))
    const types = readLayerTypes(config, sizes.numLayers, (index) =>
      index % 2 === 0 ? 'sliding_attention' : 'full_attention',
    )
    const layer = (index: number): LayerSpec => {
      const seen = types[index] === 'sliding_attention' ? window : null
      const attention = plainAttention(heads, rope, { scale, softCap, window: seen, qkvBias: bias, outputBias: bias })
      return { attention, mlp, norms, parallel: false }
    }
    return plainDecoder('gemma2', sizes, layer, norm, {
      tied: config.flag('tie_word_embeddings', true),
      embeddingScale: Math.sqrt(sizes.hiddenSize),
      logitsSoftCap: readSoftCap(config, 'final_logit_softcapping', 30),
    })
  },
  weights: namedLikeLlama(sandwichNames),
}
