import type { Architecture } from './architecture.ts'
import { mixtralParts, routerNames, separateExperts } from './expert-names.ts'
import { sigmoidScores } from './gguf-facts.ts'
import {
  namedLikeLlama,
  plainAttention,
  plainDecoder,
  preNormLayer,
  readHeads,
  readSizes,
  rmsNorm,
} from './plain-decoder.ts'
import { gatedExperts, gatedMlpOf, withExperts } from './read-mixture.ts'
import { readRope } from './read-rope.ts'

/**
 * MiniMax-M2: queries and keys normalised over all heads at once, a part of each head turns, experts chosen by sigmoid score
 * + bias and weighed by the score, normalised over the chosen.
 *
 * MiniMax: MiniMax-M2, 2025 (no paper).
 */
export const minimaxM2: Architecture = {
  name: 'minimax_m2',
  modelTypes: ['minimax_m2'],
  ggufName: 'minimax-m2',
  gguf: {
    fields: {
      num_local_experts: 'expert_count',
      num_experts_per_tok: 'expert_used_count',
      intermediate_size: 'expert_feed_forward_length',
    },
    only: sigmoidScores,
    idle: ['feed_forward_length'],
  },
  idle: [
    'router_jitter_noise',
    'attn_type_list',
    'qk_norm_type',
    'rotary_dim',
    'scoring_func',
    'use_mtp',
    'num_mtp_modules',
    'mtp_transformer_layers',
    'use_qk_norm',
    'use_routing_bias',
  ],
  spec(config, options) {
    const sizes = readSizes(config, options, { vocabSize: 200_064 })
    const heads = readHeads(config, sizes.hiddenSize, { headDim: 128 })
    const partial = config.has('rotary_dim') ? config.size('rotary_dim') / heads.headDim : 1
    const rope = readRope(config, { ...heads, ...sizes, options, defaults: { theta: 5_000_000, partial } })
    const norm = rmsNorm(config)
    const attention = plainAttention(heads, rope, { qkNorm: { norm, over: 'all' } })
    const mixture = gatedExperts(
      config,
      config.size('num_local_experts', 256),
      config.size('intermediate_size'),
      { perToken: config.size('num_experts_per_tok', 8), scores: 'sigmoid', normalize: { plus: 0 } },
      { selectionBias: true },
    )
    const none = gatedMlpOf(config, 0)
    const layer = withExperts(preNormLayer(attention, none, norm), mixture, none)
    return plainDecoder('minimax_m2', sizes, () => layer, norm, { tied: config.flag('tie_word_embeddings', false) })
  },
  weights: namedLikeLlama({
    ...routerNames('layers.N.block_sparse_moe.gate', 'layers.N.block_sparse_moe.e_score_correction_bias'),
    ...separateExperts('layers.N.block_sparse_moe.experts.E', mixtralParts),
  }),
}
