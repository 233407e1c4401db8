import type { Architecture } from './architecture.ts'
import { fusedExperts, routerNames } from './expert-names.ts'
import { graniteFactors, graniteFacts } from './granite.ts'
import { namedLikeLlama, plainAttention, plainDecoder, preNormLayer, rmsNorm } from './plain-decoder.ts'
import { readFrame } from './read-frame.ts'
import { gatedExperts, gatedMlpOf, withExperts } from './read-mixture.ts'

/**
 * Granite 3 with experts: Granite's four factors, experts weighed by a softmax over the chosen.
 *
 * IBM Granite Team: Granite 3.0 Language Models, 2024 (no arXiv number).
 */
export const graniteMoe: Architecture = {
  name: 'granitemoe',
  modelTypes: ['granitemoe'],
  ggufName: 'granitemoe',
  gguf: {
    ...graniteFacts,
    fields: { ...graniteFacts.fields, num_local_experts: 'expert_count', num_experts_per_tok: 'expert_used_count' },
  },
  spec(config, options) {
    const { sizes, heads, rope } = readFrame(config, options)
    const bias = config.flag('attention_bias', false)
    const norm = rmsNorm(config)
    const { scale, branchScale, ...factors } = graniteFactors(config)
    const attention = plainAttention(heads, rope, { scale, qkvBias: bias, outputBias: bias })
    const mixture = gatedExperts(config, config.size('num_local_experts', 8), config.size('intermediate_size'), {
      perToken: config.size('num_experts_per_tok', 2),
      scores: 'softmaxOfChosen',
    })
    const none = gatedMlpOf(config, 0)
    const layer = { ...withExperts(preNormLayer(attention, none, norm), mixture, none), branchScale }
    return plainDecoder('granitemoe', sizes, () => layer, norm, {
      tied: config.flag('tie_word_embeddings', false),
      ...factors,
    })
  },
  weights: namedLikeLlama({
    ...routerNames('layers.N.block_sparse_moe.router.layer'),
    ...fusedExperts({
      gateUp: 'layers.N.block_sparse_moe.input_linear',
      down: 'layers.N.block_sparse_moe.output_linear',
    }),
  }),
}
