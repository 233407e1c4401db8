import { FoveaError } from '../../tile/index.ts'
import type { Architecture } from './architecture.ts'
import { routerNames, separateExperts } from './expert-names.ts'
import { keysForAllHeads } from './gguf-facts.ts'
import { namedLikeLlama, plainAttention, plainDecoder, preNormLayer, rmsNorm } from './plain-decoder.ts'
import { readFrame } from './read-frame.ts'
import { gatedExperts, gatedMlpOf, softmaxRouting, withExperts } from './read-mixture.ts'

/**
 * OLMoE: queries and keys normalised over all heads at once, weights of experts not normalised
 * unless `norm_topk_prob`.
 *
 * Muennighoff et al.: OLMoE, 2024, arXiv 2409.02060.
 */
export const olmoe: Architecture = {
  name: 'olmoe',
  modelTypes: ['olmoe'],
  ggufName: 'olmoe',
  gguf: {
    fields: { num_experts: 'expert_count', num_experts_per_tok: 'expert_used_count' },
    means: () => ({ norm_topk_prob: false }),
    refused: keysForAllHeads,
  },
  spec(config, options) {
    if (config.has('clip_qkv'))
      throw new FoveaError(
        'unsupported',
        'openCheckpoint',
        `${config.file}: clip_qkv after a norm is not computed here`,
      )
    const { sizes, heads, rope } = readFrame(config, options, { vocabSize: 50_304, maxPositions: 4096 })
    const bias = config.flag('attention_bias', false)
    const norm = rmsNorm(config)
    const attention = plainAttention(heads, rope, {
      qkNorm: { norm, over: 'all' },
      qkvBias: bias,
      outputBias: bias,
    })
    const routing = softmaxRouting(config.size('num_experts_per_tok', 8), config.flag('norm_topk_prob', false))
    const mixture = gatedExperts(config, config.size('num_experts', 64), config.size('intermediate_size'), routing)
    const none = gatedMlpOf(config, 0)
    const layer = withExperts(preNormLayer(attention, none, norm), mixture, none)
    return plainDecoder('olmoe', sizes, () => layer, norm, { tied: config.flag('tie_word_embeddings', false) })
  },
  weights: namedLikeLlama({
    ...routerNames('layers.N.mlp.gate'),
    ...separateExperts('layers.N.mlp.experts.E'),
  }),
}
