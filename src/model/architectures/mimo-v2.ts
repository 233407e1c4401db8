import type { LayerSpec } from '../decoder-spec.ts'
import type { Architecture } from './architecture.ts'
import { routerNames, separateExperts } from './expert-names.ts'
import { type LayerType, readWindows } from './layer-types.ts'
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
import { biasedRouting, gatedExperts, gatedMlpOf, sparseLayers, withExperts } from './read-mixture.ts'
import { readRope } from './read-rope.ts'

/**
 * MiMo-V2-Flash: window layers with learned sinks and twice the key/value heads, values narrower than keys and scaled, a
 * third of each head turns by a base for each type of layer, DeepSeek-V3's routing.
 *
 * Xiaomi LLM-Core: MiMo-V2-Flash, 2026, arXiv 2601.02780.
 */
export const mimoV2: Architecture = {
  name: 'mimo_v2_flash',
  modelTypes: ['mimo_v2_flash'],
  idle: ['n_shared_experts', 'scoring_func', 'topk_method', 'hybrid_layer_pattern', 'moe_layer_freq'],
  spec(config, options) {
    const sizes = readSizes(config, options)
    const heads = { ...readHeads(config, sizes.hiddenSize, { headDim: 192 }), valueDim: config.size('v_head_dim', 128) }
    const swaKvHeads = config.size('swa_num_key_value_heads', 2 * heads.numKvHeads)
    const ropeOf = (layerType: LayerType) =>
      readRope(config, { ...heads, ...sizes, options, layerType, defaults: { partial: 0.334 } })
    const [full, sliding] = [ropeOf('full_attention'), ropeOf('sliding_attention')]
    const bias = config.flag('attention_bias', false)
    const norm = rmsNorm(config)
    const windows = readWindows(config, sizes.numLayers, { window: 128, type: () => 'full_attention' })
    const routing = biasedRouting(config)
    const mixture = gatedExperts(
      config,
      config.size('n_routed_experts'),
      config.size('moe_intermediate_size'),
      routing,
      { selectionBias: true },
    )
    const none = gatedMlpOf(config, 0)
    // scaling values is scaling what they add, as long as attention's output has no bias
    const branchScale = { attention: config.positive('attention_value_scale', 1), mlp: 1 }
    const sparse = sparseLayers(config, sizes.numLayers, 1)
    const layer = (index: number): LayerSpec => {
      const window = windows[index] ?? null
      const local = window === null ? {} : ({ numKvHeads: swaKvHeads, sinks: true } as const)
      const attention = plainAttention({ ...heads, ...local }, window === null ? full : sliding, {
        ...{ ...local, window, valueDim: heads.valueDim, qkvBias: bias },
      })
      const dense = { ...preNormLayer(attention, gatedMlp(config), norm), branchScale }
      return sparse[index] ? withExperts(dense, mixture, none) : dense
    }
    return plainDecoder('mimo_v2_flash', sizes, layer, norm, { tied: config.flag('tie_word_embeddings', false) })
  },
  weights: namedLikeLlama({
    'layers.N.attention.sinks': { tensor: 'layers.N.self_attn.attention_sink_bias', bare: true },
    ...routerNames('layers.N.mlp.gate', 'layers.N.mlp.gate.e_score_correction_bias'),
    ...separateExperts('layers.N.mlp.experts.E'),
  }),
}
