import { FoveaError } from '../../tile/index.ts'
import type { AttentionSpec, LayerSpec } from '../decoder-spec.ts'
import type { Architecture } from './architecture.ts'
import { fusedExperts, routerNames, sharedExpert } from './expert-names.ts'
import { gemmaActivation, gemmaIdle, readSoftCap, sandwichNames } from './gemma-fields.ts'
import { gemma4Layers } from './gemma4-layers.ts'
import { readMixture } from './gemma4-mixture.ts'
import {
  gatedMlp,
  namedLikeLlama,
  plainAttention,
  plainDecoder,
  readSizes,
  rmsNorm,
  tokenList,
} from './plain-decoder.ts'
import { withExperts } from './read-mixture.ts'
import { perLayerNames, readPerLayer } from './read-per-layer.ts'

/** Of a model of text, images and sounds what is not of its text. */
const otherFields: readonly string[] = [
  ...['vision_config', 'audio_config', 'boi_token_id', 'eoi_token_id', 'image_token_id', 'video_token_id'],
  ...['boa_token_id', 'eoa_token_id', 'eoa_token_index', 'audio_token_id', 'vision_soft_tokens_per_image'],
]

/**
 * Gemma 4, the text model: layers that see a window and layers that see all, these with wider heads, fewer of keys, a
 * quarter of which turns, and keys that may serve as values; no scale of scores, values normalised. Later layers may read
 * the keys and values of earlier ones; tokens may have an embedding for each layer, a layer experts beside its MLP. Of a model of text and images (`gemma4`) the
 * text part.
 *
 * Google: Gemma 4, 2026 (no paper); the form is that of Hugging Face transformers.
 */
export const gemma4: Architecture = {
  name: 'gemma4',
  modelTypes: ['gemma4_text', 'gemma4'],
  idle: [...gemmaIdle, ...otherFields, 'vocab_size_per_layer_input', 'num_global_key_value_heads', 'global_head_dim'],
  spec(outer, options) {
    const config = outer.section('text_config') ?? outer
    if (config.text('use_bidirectional_attention', 'none') === 'all')
      throw new FoveaError('unsupported', 'openCheckpoint', `${config.file}: use_bidirectional_attention is no decoder`)
    const sizes = readSizes(config, options, { vocabSize: 262_144, maxPositions: 131_072, scaledAlready: true })
    const bosToken = sizes.bosToken ?? outer.token('bos_token_id')
    const eosTokens = sizes.eosTokens.length > 0 ? sizes.eosTokens : tokenList(outer, 'eos_token_id')
    const norm = rmsNorm(config)
    const layers = gemma4Layers(config, { ...sizes, options })
    const bias = config.flag('attention_bias', false)
    const keysAsValues = config.flag('attention_k_eq_v', false)
    const common: Partial<AttentionSpec> = {
      ...{ scale: 1, valueNormEps: norm.eps, qkNorm: { norm, over: 'head' }, qkvBias: bias, outputBias: bias },
    }
    const mlp = gatedMlp(config, gemmaActivation)
    const wide = config.flag('use_double_wide_mlp', false)
    const mixture = config.flag('enable_moe_block', false) ? readMixture(config, sizes.hiddenSize, mlp, norm) : null
    const norms = { beforeAttention: norm, afterAttention: norm, beforeMlp: norm, afterMlp: norm }
    const layer = (index: number): LayerSpec => {
      const { heads, rope, window, keysFrom } = layers(index)
      const attention = plainAttention(heads, rope, {
        ...{ ...common, window },
        ...(keysAsValues && window === null && { keysAsValues: true }),
        ...(keysFrom !== null && { keysFrom }),
      })
      const own = keysFrom !== null && wide ? { ...mlp, size: 2 * mlp.size } : mlp
      const dense: LayerSpec = { attention, mlp: own, norms, parallel: false, outputScale: true }
      return mixture ? withExperts(dense, mixture, own) : dense
    }
    return plainDecoder('gemma4', { ...sizes, bosToken, eosTokens }, layer, norm, {
      tied: outer.flag('tie_word_embeddings', config.flag('tie_word_embeddings', true)),
      embeddingScale: Math.sqrt(sizes.hiddenSize),
      logitsSoftCap: readSoftCap(config, 'final_logit_softcapping', null),
      perLayer: readPerLayer(config, { ...sizes, vocabSize: 262_144 }, { activation: mlp.activation, norm }),
    })
  },
  weights: namedLikeLlama({
    ...sandwichNames,
    ...perLayerNames,
    ...sharedExpert('layers.N.mlp'),
    ...routerNames('layers.N.router.proj'),
    ...fusedExperts({ gateUp: 'layers.N.experts.gate_up_proj', down: 'layers.N.experts.down_proj', bare: true }),
    'layers.N.mixture.expertScale': { tensor: 'layers.N.router.per_expert_scale', bare: true },
    'layers.N.mixture.norms.beforeRouter': { tensor: 'layers.N.router.scale', bare: true },
    'layers.N.mixture.norms.beforeExperts': 'layers.N.pre_feedforward_layernorm_2',
    'layers.N.mixture.norms.afterExperts': 'layers.N.post_feedforward_layernorm_2',
    'layers.N.mixture.norms.afterShared': 'layers.N.post_feedforward_layernorm_1',
    'layers.N.outputScale': { tensor: 'layers.N.layer_scalar', bare: true },
  }),
}
