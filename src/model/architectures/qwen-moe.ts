import type { LayerSpec } from '../decoder-spec.ts'
import type { Architecture } from './architecture.ts'
import type { ConfigFields } from './config-fields.ts'
import { routerNames, separateExperts, sharedExpert } from './expert-names.ts'
import { headsFillWidth } from './gguf-facts.ts'
import {
  gatedMlp,
  namedLikeLlama,
  plainAttention,
  plainDecoder,
  preNormLayer,
  readHeads,
  readSizes,
  rmsNorm,
} from './plain-decoder.ts'
import { qwenWindows } from './qwen2.ts'
import { gatedExperts, gatedMlpOf, softmaxRouting, withExperts } from './read-mixture.ts'
import { readRope } from './read-rope.ts'

/** windows that are switched off, and what only training reads */
const idle: readonly string[] = ['sliding_window', 'max_window_layers', 'shared_expert_intermediate_size']

const ggufExperts = {
  num_experts: 'expert_count',
  num_experts_per_tok: 'expert_used_count',
  moe_intermediate_size: 'expert_feed_forward_length',
} as const

const experts = {
  ...routerNames('layers.N.mlp.gate'),
  ...separateExperts('layers.N.mlp.experts.E'),
}

/**
 * Qwen 1.5 and 2 with experts: weights are not normalised over the chosen unless `norm_topk_prob`, and a shared expert is
 * let through by a sigmoid gate.
 *
 * Yang et al.: Qwen2 Technical Report, 2024, arXiv 2407.10671.
 */
export const qwen2Moe: Architecture = {
  name: 'qwen2_moe',
  modelTypes: ['qwen2_moe'],
  ggufName: 'qwen2moe',
  gguf: {
    fields: { ...ggufExperts, shared_expert_intermediate_size: 'expert_shared_feed_forward_length' },
    means: () => ({ norm_topk_prob: false, tie_word_embeddings: false }),
    refused: headsFillWidth,
  },
  idle,
  spec(config, options) {
    const sizes = readSizes(config, options, { maxPositions: 32_768 })
    const heads = readHeads(config, sizes.hiddenSize)
    const rope = readRope(config, { ...heads, ...sizes, options })
    const norm = rmsNorm(config)
    const mixture = { ...mixtureOf(config, { experts: 60, perToken: 4, size: 1408 }), sharedGate: true as const }
    const shared = gatedMlpOf(config, config.size('shared_expert_intermediate_size', 5632))
    const windows = qwenWindows(config, sizes.numLayers)
    const sparse = sparseOf(config, sizes.numLayers)
    const bias = config.flag('qkv_bias', true)
    const layer = (index: number): LayerSpec => {
      const attention = plainAttention(heads, rope, { qkvBias: bias, window: windows[index] ?? null })
      const dense = preNormLayer(attention, gatedMlp(config), norm)
      return sparse[index] ? withExperts(dense, mixture, shared) : dense
    }
    return plainDecoder('qwen2_moe', sizes, layer, norm, { tied: config.flag('tie_word_embeddings', false) })
  },
  weights: namedLikeLlama({
    ...experts,
    ...sharedExpert('layers.N.mlp.shared_expert'),
    'layers.N.mixture.sharedGate': 'layers.N.mlp.shared_expert_gate',
  }),
}

/**
 * Qwen 3 with experts: queries and keys normalised head by head, weights normalised over the chosen where `norm_topk_prob`.
 *
 * Yang et al.: Qwen3 Technical Report, 2025, arXiv 2505.09388.
 */
export const qwen3Moe: Architecture = {
  name: 'qwen3_moe',
  modelTypes: ['qwen3_moe'],
  ggufName: 'qwen3moe',
  gguf: { fields: ggufExperts, means: () => ({ norm_topk_prob: true }) },
  idle,
  spec(config, options) {
    const sizes = readSizes(config, options, { maxPositions: 32_768 })
    const heads = readHeads(config, sizes.hiddenSize)
    const rope = readRope(config, { ...heads, ...sizes, options })
    const norm = rmsNorm(config)
    const mixture = mixtureOf(config, { experts: 128, perToken: 8, size: 768 })
    const none = gatedMlpOf(config, 0)
    const windows = qwenWindows(config, sizes.numLayers)
    const sparse = sparseOf(config, sizes.numLayers)
    const bias = config.flag('attention_bias', false)
    const layer = (index: number): LayerSpec => {
      const attention = plainAttention(heads, rope, {
        qkNorm: { norm, over: 'head' },
        qkvBias: bias,
        outputBias: bias,
        window: windows[index] ?? null,
      })
      const dense = preNormLayer(attention, gatedMlp(config), norm)
      return sparse[index] ? withExperts(dense, mixture, none) : dense
    }
    return plainDecoder('qwen3_moe', sizes, layer, norm, { tied: config.flag('tie_word_embeddings', false) })
  },
  weights: namedLikeLlama(experts),
}

/** The number of experts is `num_experts`, since transformers 5 `num_local_experts`. */
function mixtureOf(
  config: ConfigFields,
  defaults: { readonly experts: number; readonly perToken: number; readonly size: number },
) {
  const field = config.has('num_local_experts') ? 'num_local_experts' : 'num_experts'
  const perToken = config.size('num_experts_per_tok', defaults.perToken)
  const routing = softmaxRouting(perToken, config.flag('norm_topk_prob', false))
  return gatedExperts(
    config,
    config.size(field, defaults.experts),
    config.size('moe_intermediate_size', defaults.size),
    routing,
  )
}

/** Every `decoder_sparse_step`-th layer has experts, those of `mlp_only_layers` have not. */
function sparseOf(config: ConfigFields, numLayers: number): readonly boolean[] {
  const step = config.size('decoder_sparse_step', 1)
  const dense = new Set(config.list('mlp_only_layers') ?? [])
  return Array.from({ length: numLayers }, (_, index) => !dense.has(index) && (index + 1) % step === 0)
}
