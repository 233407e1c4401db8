import { FoveaError } from '../../tile/index.ts'
import type { LayerSpec } from '../decoder-spec.ts'
import type { Architecture } from './architecture.ts'
import type { ConfigFields } from './config-fields.ts'
import { gemmaActivation, gemmaIdle, readSoftCap, sandwichNames } from './gemma-fields.ts'
import { readRopes } from './gemma3-ropes.ts'
import { type LayerType, readLayerTypes, readWindow } from './layer-types.ts'
import {
  gatedMlp,
  namedLikeLlama,
  plainAttention,
  plainDecoder,
  readHeads,
  readSizes,
  rmsNorm,
  tokenList,
} from './plain-decoder.ts'

/** Of a model of text and images what is of its images alone; the patterns are of files that list no types of layers. */
const imageFields: readonly string[] = [
  'vision_config',
  'mm_tokens_per_image',
  'boi_token_index',
  'eoi_token_index',
  'image_token_index',
  'image_token_id',
  'sliding_window_pattern',
  '_sliding_window_pattern',
  'rope_local_base_freq',
]

/**
 * Gemma 3, the text model: Gemma 2 with queries and keys normalised head by head instead of caps, five sliding layers to
 * one that sees all, rotary base 10,000 in the former and 1,000,000 in the latter. Of a model of text and images
 * (`gemma3`) the text part, whose sizes are those of `text_config`.
 *
 * Gemma Team: Gemma 3 Technical Report, 2025, arXiv 2503.19786.
 */
export const gemma3: Architecture = {
  name: 'gemma3',
  modelTypes: ['gemma3_text', 'gemma3'],
  ggufName: 'gemma3',
  gguf: { windowBase: 10_000 },
  idle: [...gemmaIdle, ...imageFields],
  spec(outer, options) {
    const config = outer.section('text_config') ?? outer
    if (config.flag('use_bidirectional_attention', false))
      throw new FoveaError('unsupported', 'openCheckpoint', `${config.file}: use_bidirectional_attention is no decoder`)
    const sizes = readSizes(config, options, { vocabSize: 262_208, maxPositions: 131_072, scaledAlready: true })
    // a model of text and images has its tokens outside text_config
    const bosToken = sizes.bosToken ?? outer.token('bos_token_id')
    const eosTokens = sizes.eosTokens.length > 0 ? sizes.eosTokens : tokenList(outer, 'eos_token_id')
    const heads = readHeads(config, sizes.hiddenSize, { numHeads: 8, numKvHeads: 4, headDim: 256 })
    const ropes = readRopes(config, { ...heads, ...sizes, options })
    const bias = config.flag('attention_bias', false)
    const norm = rmsNorm(config, 1)
    const norms = { beforeAttention: norm, afterAttention: norm, beforeMlp: norm, afterMlp: norm }
    const mlp = gatedMlp(config, gemmaActivation)
    const window = readWindow(config, 4096)
    const scale = 1 / Math.sqrt(config.positive('query_pre_attn_scalar', 256))
    const softCap = readSoftCap(config, 'attn_logit_softcapping', null)
    const types = readLayerTypes(config, sizes.numLayers, patternOf(config))
    const layer = (index: number): LayerSpec => {
      const type = types[index] ?? 'full_attention'
      const attention = plainAttention(heads, ropes[type], {
        scale,
        softCap,
        window: type === 'sliding_attention' ? window : null,
        qkNorm: { norm, over: 'head' },
        qkvBias: bias,
        outputBias: bias,
      })
      return { attention, mlp, norms, parallel: false }
    }
    return plainDecoder('gemma3', { ...sizes, bosToken, eosTokens }, layer, norm, {
      tied: outer.flag('tie_word_embeddings', config.flag('tie_word_embeddings', true)),
      embeddingScale: Math.sqrt(sizes.hiddenSize),
      logitsSoftCap: readSoftCap(config, 'final_logit_softcapping', null),
    })
  },
  weights: namedLikeLlama(sandwichNames),
}

/** Every sixth layer sees all, or as the older `sliding_window_pattern` says. */
function patternOf(config: ConfigFields): (index: number) => LayerType {
  const field = config.has('sliding_window_pattern') ? 'sliding_window_pattern' : '_sliding_window_pattern'
  const pattern = config.size(field, 6)
  return (index) => ((index + 1) % pattern === 0 ? 'full_attention' : 'sliding_attention')
}
