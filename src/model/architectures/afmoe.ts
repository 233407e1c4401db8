import { sigmoid } from '../../nn/index.ts'
import type { LayerSpec } from '../decoder-spec.ts'
import type { Architecture } from './architecture.ts'
import { routerNames, separateExperts, sharedExpert } from './expert-names.ts'
import { sigmoidScores } from './gguf-facts.ts'
import { everyNth, readWindows } from './layer-types.ts'
import { gatedMlp, namedLikeLlama, plainAttention, plainDecoder, rmsNorm } from './plain-decoder.ts'
import { readFrame } from './read-frame.ts'
import { biasedRouting, gatedExperts, gatedMlpOf, withExperts } from './read-mixture.ts'

/**
 * AFMoE (Trinity): what attention gives is multiplied by a sigmoid gate, windows turn and full layers do not, four norms,
 * embeddings times √hidden where `mup_enabled`, experts by sigmoid score + bias, a shared one beside them.
 *
 * Arcee AI: Trinity, 2025 (no paper).
 */
export const afmoe: Architecture = {
  name: 'afmoe',
  modelTypes: ['afmoe'],
  ggufName: 'afmoe',
  gguf: {
    fields: {
      num_experts: 'expert_count',
      num_experts_per_tok: 'expert_used_count',
      moe_intermediate_size: 'expert_feed_forward_length',
      num_shared_experts: 'expert_shared_count',
      num_dense_layers: 'leading_dense_block_count',
      route_scale: 'expert_weights_scale',
      norm_topk_prob: 'expert_weights_norm',
    },
    only: sigmoidScores,
    means: ({ key }) => ({ mup_enabled: true, num_dense_layers: key('leading_dense_block_count') ?? 0 }),
  },
  idle: [
    'global_attn_every_n_layers',
    'num_expert_groups',
    'num_limited_groups',
    'score_func',
    'route_norm',
    'n_group',
    'topk_group',
  ],
  spec(config, options) {
    const { sizes, heads, rope } = readFrame(config, options, {
      vocabSize: 200_192,
      maxPositions: 16_384,
      headDim: 128,
    })
    const norm = rmsNorm(config)
    const norms = { beforeAttention: norm, afterAttention: norm, beforeMlp: norm, afterMlp: norm }
    const windows = readWindows(config, sizes.numLayers, {
      window: 1024,
      type: everyNth(config.size('global_attn_every_n_layers', 4)),
    })
    const size = config.size('moe_intermediate_size', 1408)
    const routing = biasedRouting(config, { perToken: 6, scaleField: 'route_scale' })
    const mixture = gatedExperts(config, config.size('num_experts', 64), size, routing, { selectionBias: true })
    const shared = gatedMlpOf(config, size * (config.token('num_shared_experts') ?? 2))
    const first = config.token('num_dense_layers') ?? 1
    const layer = (index: number): LayerSpec => {
      const window = windows[index] ?? null
      const attention = plainAttention(heads, window === null ? null : rope, {
        window,
        qkNorm: { norm, over: 'head' },
        gate: { activation: sigmoid, per: 'element' },
      })
      const dense: LayerSpec = { attention, mlp: gatedMlp(config), norms, parallel: false }
      return index < first ? dense : withExperts(dense, mixture, shared)
    }
    return plainDecoder('afmoe', sizes, layer, norm, {
      tied: config.flag('tie_word_embeddings', false),
      embeddingScale: config.flag('mup_enabled', false) ? Math.sqrt(sizes.hiddenSize) : 1,
    })
  },
  weights: namedLikeLlama({
    'layers.N.attention.outputGate': 'layers.N.self_attn.gate_proj',
    'layers.N.norms.afterAttention': 'layers.N.post_attention_layernorm',
    'layers.N.norms.beforeMlp': 'layers.N.pre_mlp_layernorm',
    'layers.N.norms.afterMlp': 'layers.N.post_mlp_layernorm',
    ...routerNames('layers.N.mlp.router.gate', 'layers.N.mlp.expert_bias'),
    ...separateExperts('layers.N.mlp.experts.E'),
    ...sharedExpert('layers.N.mlp.shared_experts'),
  }),
}
