import type { LayerSpec } from '../decoder-spec.ts'
import type { Architecture } from './architecture.ts'
import { routerNames, separateExperts, sharedExpert } from './expert-names.ts'
import { gatedMlp, namedLikeLlama, plainAttention, plainDecoder, preNormLayer, rmsNorm } from './plain-decoder.ts'
import { readFrame } from './read-frame.ts'
import { biasedRouting, gatedExperts, gatedMlpOf, sparseLayers, withExperts } from './read-mixture.ts'

/**
 * Hunyuan 3: queries and keys normalised head by head, DeepSeek-V3's routing without groups, a shared MLP.
 *
 * Tencent: Hy3, 2026 (no paper); the form is that of Hugging Face transformers.
 */
export const hyV3: Architecture = {
  name: 'hy_v3',
  modelTypes: ['hy_v3'],
  idle: ['enable_moe_fp32_combine', 'num_nextn_predict_layers'],
  spec(config, options) {
    const { sizes, heads, rope } = readFrame(config, options, { vocabSize: 120_832, headDim: 128 })
    const bias = config.flag('attention_bias', false)
    const norm = rmsNorm(config)
    const attention = plainAttention(heads, rope, { qkNorm: { norm, over: 'head' }, qkvBias: bias, outputBias: bias })
    const dense = preNormLayer(attention, gatedMlp(config, { bias: config.flag('mlp_bias', false) }), norm)
    const size = config.size('moe_intermediate_size')
    const routing = biasedRouting(config, { perToken: 8, scaleField: 'router_scaling_factor' })
    const mixture = gatedExperts(config, config.size('num_experts'), size, routing, { selectionBias: true })
    const shared = gatedMlpOf(config, size * config.size('num_shared_experts', 1), dense.mlp.bias)
    const sparse = withExperts(dense, mixture, shared)
    const types = sparseLayers(config, sizes.numLayers, config.token('first_k_dense_replace') ?? 1)
    const layer = (index: number): LayerSpec => (types[index] ? sparse : dense)
    return plainDecoder('hy_v3', sizes, layer, norm, { tied: config.flag('tie_word_embeddings', false) })
  },
  weights: namedLikeLlama({
    ...routerNames('layers.N.mlp.router.gate', 'layers.N.mlp.expert_bias'),
    ...separateExperts('layers.N.mlp.experts.E'),
    ...sharedExpert('layers.N.mlp.shared_mlp'),
  }),
}
