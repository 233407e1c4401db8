import type { Architecture } from './architecture.ts'
import { mixtralParts, routerNames, separateExperts } from './expert-names.ts'
import { readWindow } from './layer-types.ts'
import { namedLikeLlama, plainAttention, plainDecoder, preNormLayer, rmsNorm } from './plain-decoder.ts'
import { readFrame } from './read-frame.ts'
import { gatedExperts, gatedMlpOf, softmaxRouting, withExperts } from './read-mixture.ts'

/**
 * Mixtral: Mistral with eight experts in place of each MLP, two of which each token goes through, weighed by a softmax over
 * the two.
 *
 * Jiang et al.: Mixtral of Experts, 2024, arXiv 2401.04088.
 */
export const mixtral: Architecture = {
  name: 'mixtral',
  modelTypes: ['mixtral'],
  ggufName: 'llama',
  gguf: {
    fields: { num_local_experts: 'expert_count', num_experts_per_tok: 'expert_used_count' },
    reordered: true,
    divisors: true,
  },
  idle: ['router_jitter_noise'],
  spec(config, options) {
    const { sizes, heads, rope } = readFrame(config, options, { maxPositions: 4096 * 32, theta: 1_000_000 })
    const norm = rmsNorm(config)
    const attention = plainAttention(heads, rope, { window: readWindow(config, null) })
    const routing = softmaxRouting(config.size('num_experts_per_tok', 2), true)
    const experts = gatedExperts(config, config.size('num_local_experts', 8), config.size('intermediate_size'), routing)
    const none = gatedMlpOf(config, 0)
    const layer = withExperts(preNormLayer(attention, none, norm), experts, none)
    return plainDecoder('mixtral', sizes, () => layer, norm, { tied: config.flag('tie_word_embeddings', false) })
  },
  weights: namedLikeLlama({
    ...routerNames('layers.N.block_sparse_moe.gate'),
    ...separateExperts('layers.N.block_sparse_moe.experts.E', mixtralParts),
  }),
}
