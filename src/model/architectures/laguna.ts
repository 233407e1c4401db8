import { softplus } from '../../nn/index.ts'
import type { LayerSpec } from '../decoder-spec.ts'
import type { Architecture } from './architecture.ts'
import type { ConfigFields } from './config-fields.ts'
import { routerNames, separateExperts, sharedExpert } from './expert-names.ts'
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
 * Laguna: as many query heads as each layer says, what attention gives multiplied by one softplus gate for each head, rotary
 * settings for each type of layer, experts by sigmoid score + bias beside a shared one.
 *
 * Poolside: Laguna, 2026 (no paper); the form is that of Hugging Face transformers.
 */
export const laguna: Architecture = {
  name: 'laguna',
  modelTypes: ['laguna'],
  idle: ['moe_router_logit_softcapping', 'moe_apply_router_weight_on_input'],
  spec(config, options) {
    const sizes = readSizes(config, options)
    const heads = readHeads(config, sizes.hiddenSize, { headDim: 128 })
    const ropeOf = (layerType: LayerType) => readRope(config, { ...heads, ...sizes, options, layerType })
    const [full, sliding] = [ropeOf('full_attention'), ropeOf('sliding_attention')]
    const bias = config.flag('attention_bias', false)
    const norm = rmsNorm(config)
    const windows = readWindows(config, sizes.numLayers, { window: null, type: () => 'full_attention' })
    const counts = headCounts(config, sizes.numLayers, heads.numHeads)
    const routing = biasedRouting(config, { scaleField: 'moe_routed_scaling_factor' })
    const mixture = gatedExperts(config, config.size('num_experts'), config.size('moe_intermediate_size'), routing, {
      selectionBias: true,
    })
    const shared = gatedMlpOf(config, config.size('shared_expert_intermediate_size'))
    const sparse = sparseLayers(config, sizes.numLayers, 1)
    const gate = config.flag('gating', true) ? { gate: { activation: softplus, per: 'head' } as const } : {}
    const layer = (index: number): LayerSpec => {
      const window = windows[index] ?? null
      const attention = plainAttention(
        { ...heads, numHeads: counts[index] as number },
        window === null ? full : sliding,
        {
          ...{ window, qkNorm: { norm, over: 'head' }, qkvBias: bias, outputBias: bias },
          ...gate,
        },
      )
      const dense = preNormLayer(attention, gatedMlp(config), norm)
      return sparse[index] ? withExperts(dense, mixture, shared) : dense
    }
    return plainDecoder('laguna', sizes, layer, norm, { tied: config.flag('tie_word_embeddings', false) })
  },
  weights: namedLikeLlama({
    'layers.N.attention.outputGate': 'layers.N.self_attn.g_proj',
    ...routerNames('layers.N.mlp.gate', 'layers.N.mlp.experts.e_score_correction_bias'),
    ...separateExperts('layers.N.mlp.experts.E'),
    ...sharedExpert('layers.N.mlp.shared_expert'),
  }),
}

/** `num_attention_heads_per_layer`, or as many in each layer. */
function headCounts(config: ConfigFields, numLayers: number, numHeads: number): readonly number[] {
  if (!config.has('num_attention_heads_per_layer')) return new Array<number>(numLayers).fill(numHeads)
  return config.numbers('num_attention_heads_per_layer', numLayers)
}
