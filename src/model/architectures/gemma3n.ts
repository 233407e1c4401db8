import type { LayerSpec, MlpSpec } from '../decoder-spec.ts'
import type { Architecture } from './architecture.ts'
import { gemmaActivation, gemmaIdle, readSoftCap, sandwichNames } from './gemma-fields.ts'
import { readRopes } from './gemma3-ropes.ts'
import { readMlps } from './gemma3n-mlps.ts'
import { readStreams, streamNames } from './gemma3n-streams.ts'
import { sharedKeys } from './gemma4-layers.ts'
import { everyNth, readLayerTypes, readWindow } from './layer-types.ts'
import { namedActivation } from './named-activation.ts'
import {
  namedLikeLlama,
  plainAttention,
  plainDecoder,
  readHeads,
  readSizes,
  rmsNorm,
  tokenList,
} from './plain-decoder.ts'
import { perLayerNames, readPerLayer } from './read-per-layer.ts'

/** Of a model of text, images and sounds what is not of its text; the clip is of training. */
const otherFields: readonly string[] = [
  ...['vision_config', 'audio_config', 'audio_soft_tokens_per_image', 'vision_soft_tokens_per_image'],
  ...['boi_token_id', 'eoi_token_id', 'image_token_id', 'boa_token_id', 'eoa_token_id', 'audio_token_id'],
  ...['altup_coef_clip', 'rope_local_base_freq'],
]

/**
 * Gemma 3n, the text model: four residual streams of which a layer is given one (AltUp), LAuReL beside attention, embeddings
 * of each layer, gates of the first layers that count from a quantile on, and last layers that read the keys and values of
 * earlier ones. No scale of scores, values normalised. Of a model of text, images and sounds (`gemma3n`) the text part.
 *
 * Google: Gemma 3n, 2025 (no paper); the form is that of Hugging Face transformers.
 */
export const gemma3n: Architecture = {
  name: 'gemma3n',
  modelTypes: ['gemma3n_text', 'gemma3n'],
  idle: [...gemmaIdle, ...otherFields],
  spec(outer, options) {
    const config = outer.section('text_config') ?? outer
    const sizes = readSizes(config, options, { vocabSize: 262_400, maxPositions: 32_768, scaledAlready: true })
    const bosToken = sizes.bosToken ?? outer.token('bos_token_id')
    const eosTokens = sizes.eosTokens.length > 0 ? sizes.eosTokens : tokenList(outer, 'eos_token_id')
    const { numLayers, hiddenSize } = sizes
    const heads = readHeads(config, hiddenSize, { numHeads: 8, numKvHeads: 2, headDim: 256 })
    const ropes = readRopes(config, { ...heads, ...sizes, options })
    const norm = rmsNorm(config)
    const bias = config.flag('attention_bias', false)
    const types = readLayerTypes(config, numLayers, everyNth(5))
    const window = readWindow(config, 512)
    const keysFrom = sharedKeys(config, types, 15)
    const mlps = readMlps(config, numLayers)
    const laurel = { rank: config.size('laurel_rank', 64), norm }
    const norms = { beforeAttention: norm, afterAttention: norm, beforeMlp: norm, afterMlp: norm }
    const layer = (index: number): LayerSpec => {
      const type = types[index] ?? 'full_attention'
      const from = keysFrom(index)
      const attention = plainAttention(heads, ropes[type], {
        ...{ scale: 1, valueNormEps: norm.eps, qkNorm: { norm, over: 'head' }, qkvBias: bias, outputBias: bias },
        window: type === 'sliding_attention' ? window : null,
        ...(from !== null && { keysFrom: from }),
      })
      return { attention, mlp: mlps[index] as MlpSpec, norms, parallel: false, laurel }
    }
    const activation = namedActivation(config, gemmaActivation.field, gemmaActivation.activation)
    return plainDecoder('gemma3n', { ...sizes, bosToken, eosTokens }, layer, norm, {
      tied: outer.flag('tie_word_embeddings', config.flag('tie_word_embeddings', true)),
      embeddingScale: Math.sqrt(hiddenSize),
      logitsSoftCap: readSoftCap(config, 'final_logit_softcapping', 30),
      perLayer: readPerLayer(config, { hiddenSize, vocabSize: 262_144 }, { activation, norm }),
      streams: readStreams(config, hiddenSize),
    })
  },
  weights: namedLikeLlama({
    ...sandwichNames,
    ...perLayerNames,
    ...streamNames(),
    'layers.N.laurel.down': 'layers.N.laurel.linear_left',
    'layers.N.laurel.up': 'layers.N.laurel.linear_right',
    'layers.N.laurel.norm': 'layers.N.laurel.post_laurel_norm',
  }),
}
