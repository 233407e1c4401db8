import type { LayerSpec } from '../decoder-spec.ts'
import type { Architecture } from './architecture.ts'
import { cohereNames, cohereNorm } from './cohere.ts'
import { routerNames, separateExperts, sharedExpert } from './expert-names.ts'
import { everyNth, readWindows } from './layer-types.ts'
import { namedLikeLlama, plainAttention, plainDecoder, preNormLayer } from './plain-decoder.ts'
import { readFrame } from './read-frame.ts'
import { gatedExperts, gatedMlpOf, softmaxRouting, sparseLayers, withExperts } from './read-mixture.ts'

/**
 * Cohere 2 with experts: Cohere 2's layers, the first dense, the others with experts and a shared one whose results are
 * averaged (or added, by `shared_expert_combination_strategy`).
 *
 * Cohere, 2026 (no paper); the form is that of Hugging Face transformers.
 */
export const cohere2Moe: Architecture = {
  name: 'cohere2_moe',
  modelTypes: ['cohere2_moe'],
  idle: ['sliding_window_pattern', 'prefix_dense_sliding_window_pattern', 'rms_norm_eps', 'first_k_dense_replace'],
  spec(config, options) {
    const { sizes, heads, rope } = readFrame(config, options, { maxPositions: 8192, interleaved: true })
    const bias = config.flag('attention_bias', false)
    const norm = cohereNorm(config)
    const type = everyNth(config.size('sliding_window_pattern', 4))
    const windows = readWindows(config, sizes.numLayers, { window: 4096, type })
    const size = config.size('intermediate_size')
    const scores = config.text('expert_selection_fn', 'softmax')
    if (scores !== 'softmax' && scores !== 'sigmoid')
      throw config.fault('expert_selection_fn', `must be softmax or sigmoid, got ${scores}`)
    const perToken = config.size('num_experts_per_tok', 8)
    const routing = { ...softmaxRouting(perToken, config.flag('norm_topk_prob', true)), scores } as const
    const mixture = gatedExperts(config, config.size('num_experts', 128), size, routing)
    const shared = gatedMlpOf(config, size * (config.token('num_shared_experts') ?? 0))
    const averaged = shared.size > 0 && config.text('shared_expert_combination_strategy', 'average') === 'average'
    const sparse = sparseLayers(config, sizes.numLayers, config.token('first_k_dense_replace') ?? 0)
    const layer = (index: number): LayerSpec => {
      const window = windows[index] ?? null
      const attention = plainAttention(heads, window === null ? null : rope, {
        window,
        qkvBias: bias,
        outputBias: bias,
      })
      const denseSize = config.size('prefix_dense_intermediate_size', size)
      const dense = { ...preNormLayer(attention, gatedMlpOf(config, denseSize), norm), parallel: true }
      if (!sparse[index]) return dense
      const branchScale = averaged ? { branchScale: { attention: 1, mlp: 0.5 } } : {}
      return { ...withExperts(dense, mixture, shared), ...branchScale }
    }
    return plainDecoder('cohere2_moe', sizes, layer, norm, {
      tied: config.flag('tie_word_embeddings', true),
      logitsScale: config.positive('logit_scale', 0.0625),
    })
  },
  weights: namedLikeLlama({
    ...cohereNames,
    ...routerNames('layers.N.mlp.gate'),
    ...separateExperts('layers.N.mlp.experts.E'),
    ...sharedExpert('layers.N.mlp.shared_experts'),
  }),
}
