import type { Architecture } from './architecture.ts'
import { mixtralParts, routerNames, separateExperts } from './expert-names.ts'
import { readWindow } from './layer-types.ts'
import { layerNorm, namedLikeLlama, plainAttention, plainDecoder, preNormLayer } from './plain-decoder.ts'
import { readFrame } from './read-frame.ts'
import { gatedExperts, gatedMlpOf, withExperts } from './read-mixture.ts'

/**
 * Phi-3.5-MoE: layer norms, biases of attention, and the sparse mixer: two experts one after the other, each weighed by a
 * softmax over those that are near the best.
 *
 * Abdin et al.: Phi-3 Technical Report, 2024, arXiv 2404.14219; Liu et al.: GRIN, 2024, arXiv 2409.12136.
 */
export const phimoe: Architecture = {
  name: 'phimoe',
  modelTypes: ['phimoe'],
  idle: ['input_jitter_noise'],
  spec(config, options) {
    const { sizes, heads, rope } = readFrame(config, options, {
      vocabSize: 32_064,
      maxPositions: 131_072,
      theta: 1_000_000,
    })
    const bias = config.flag('attention_bias', false)
    const norm = layerNorm(config, 'rms_norm_eps')
    const attention = plainAttention(heads, rope, {
      window: readWindow(config, null),
      qkvBias: bias,
      outputBias: bias,
    })
    const mixture = gatedExperts(config, config.size('num_local_experts', 16), config.size('intermediate_size'), {
      perToken: config.size('num_experts_per_tok', 2),
      scores: 'sparseMixer',
      jitter: config.isZero('router_jitter_noise') ? 0 : config.positive('router_jitter_noise', 0.01),
    })
    const none = gatedMlpOf(config, 0)
    const layer = withExperts(preNormLayer(attention, none, norm), mixture, none)
    return plainDecoder('phimoe', sizes, () => layer, norm, {
      tied: config.flag('tie_word_embeddings', false),
      headBias: config.flag('lm_head_bias', false),
    })
  },
  weights: namedLikeLlama({
    ...routerNames('layers.N.block_sparse_moe.gate'),
    ...separateExperts('layers.N.block_sparse_moe.experts.E', mixtralParts),
  }),
}
