import type { RoutingSpec } from '../../nn/index.ts'
import type { LayerSpec } from '../decoder-spec.ts'
import type { Architecture } from './architecture.ts'
import { routerNames, separateExperts, sharedExpert } from './expert-names.ts'
import { gatedMlp, namedLikeLlama, plainAttention, plainDecoder, preNormLayer, rmsNorm } from './plain-decoder.ts'
import { readFrame } from './read-frame.ts'
import { gatedExperts, gatedMlpOf, withExperts } from './read-mixture.ts'

/**
 * ERNIE 4.5 with experts: ERNIE's attention, experts chosen by softmax score + bias and weighed by the score, normalised over
 * the chosen, shared experts beside them.
 *
 * Baidu ERNIE Team: ERNIE 4.5 Technical Report, 2025 (no arXiv number).
 */
export const ernie45Moe: Architecture = {
  name: 'ernie4_5_moe',
  modelTypes: ['ernie4_5_moe'],
  ggufName: 'ernie4_5-moe',
  gguf: {
    fields: {
      moe_num_experts: 'expert_count',
      moe_k: 'expert_used_count',
      moe_intermediate_size: 'expert_feed_forward_length',
      moe_num_shared_experts: 'expert_shared_count',
      shared_expert_intermediate_size: 'expert_shared_feed_forward_length',
      moe_layer_start_index: 'leading_dense_block_count',
      moe_layer_interval: 'interleave_moe_layer_step',
    },
    // the width of all shared experts together is what counts
    means: ({ key }) => ({
      moe_num_shared_experts:
        Number(key('expert_shared_feed_forward_length') ?? 0) / Number(key('expert_feed_forward_length')),
    }),
    idle: ['expert_shared_count'],
  },
  idle: ['moe_capacity', 'moe_use_aux_free', 'num_nextn_predict_layers', 'moe_gate'],
  spec(config, options) {
    const { sizes, heads, rope } = readFrame(config, options, {
      vocabSize: 103_424,
      maxPositions: 131_072,
      interleaved: true,
      theta: 500_000,
    })
    const bias = config.flag('use_bias', false)
    const norm = rmsNorm(config)
    const dense = preNormLayer(
      plainAttention(heads, rope, { qkvBias: bias, outputBias: bias }),
      gatedMlp(config, { bias }),
      norm,
    )
    const size = config.size('moe_intermediate_size', 1536)
    const routing: RoutingSpec = {
      perToken: config.size('moe_k', 6),
      scores: 'softmax',
      normalize: { atLeast: config.positive('moe_norm_min', 1e-12) },
    }
    const mixture = gatedExperts(config, config.size('moe_num_experts', 64), size, routing, {
      selectionBias: true,
      ...(bias && { bias: true }),
    })
    const shared = gatedMlpOf(config, size * (config.token('moe_num_shared_experts') ?? 2), bias)
    const sparse = withExperts(dense, mixture, shared)
    const [first, last] = [config.token('moe_layer_start_index') ?? 1, config.token('moe_layer_end_index')]
    const interval = config.size('moe_layer_interval', 1)
    const layer = (index: number): LayerSpec => {
      const within = index >= first && index <= (last ?? sizes.numLayers - 1)
      return within && (index + 1) % interval === 0 ? sparse : dense
    }
    return plainDecoder('ernie4_5_moe', sizes, layer, norm, { tied: config.flag('tie_word_embeddings', true) })
  },
  weights: namedLikeLlama({
    ...routerNames('layers.N.mlp.gate', 'layers.N.mlp.moe_statics.e_score_correction_bias'),
    ...separateExperts('layers.N.mlp.experts.E'),
    ...sharedExpert('layers.N.mlp.shared_experts'),
  }),
}
