import type { LayerSpec, MlpSpec } from '../decoder-spec.ts'
import type { Architecture, WeightNames } from './architecture.ts'
import type { ConfigFields } from './config-fields.ts'
import { gemmaActivation, gemmaIdle, readSoftCap, sandwichNames } from './gemma-fields.ts'
import { readRopes } from './gemma3.ts'
import { sharedKeys } from './gemma4-layers.ts'
import { everyNth, readLayerTypes, readWindow } from './layer-types.ts'
import { namedActivation } from './named-activation.ts'
import { normalQuantile } from './normal-quantile.ts'
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

/** streams that names are known for */
const mostStreams = 9

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

function readStreams(config: ConfigFields, hiddenSize: number) {
  const count = config.size('altup_num_inputs', 4)
  if (count > mostStreams) throw config.fault('altup_num_inputs', `must be at most ${mostStreams}, got ${count}`)
  const active = config.token('altup_active_idx') ?? 0
  if (active >= count) throw config.fault('altup_active_idx', `must be below the ${count} streams, got ${active}`)
  const scale = config.flag('altup_correct_scale', true)
  return { count, active, norm: rmsNorm(config), routerFactor: 1 / hiddenSize, scale }
}

function streamNames(): WeightNames {
  const beside = Array.from({ length: mostStreams - 1 }, (_, i) => [
    [`streams.into.${i}`, `altup_projections.${i}`],
    [`streams.outOf.${i}`, `altup_unembed_projections.${i}`],
  ])
  return {
    ...Object.fromEntries(beside.flat()),
    'layers.N.streams.norm': 'layers.N.altup.router_norm',
    'layers.N.streams.router': 'layers.N.altup.modality_router',
    'layers.N.streams.prediction': 'layers.N.altup.prediction_coefs',
    'layers.N.streams.correction': 'layers.N.altup.correction_coefs',
    'layers.N.streams.scale': { tensor: 'layers.N.altup.correct_output_scale', bare: true },
  }
}

/** Widths and shares of gates that do not count, each a number or one for each layer. */
function readMlps(config: ConfigFields, numLayers: number): readonly MlpSpec[] {
  const activation = namedActivation(config, gemmaActivation.field, gemmaActivation.activation)
  const sizes = eachLayer(config, 'intermediate_size', numLayers, (value) => value >= 1 && Number.isSafeInteger(value))
  const shares = eachLayer(config, 'activation_sparsity_pattern', numLayers, (value) => value >= 0 && value < 1)
  return Array.from({ length: numLayers }, (_, index) => {
    const share = shares?.[index] ?? (!shares && numLayers > 10 && index < 10 ? 0.95 : 0)
    const size = sizes?.[index] ?? 16_384
    const sparse = share > 0 ? { gateDeviations: normalQuantile(share) } : {}
    return { size, activation, gated: true, bias: false, ...sparse }
  })
}

/** A number for each layer, or one for all; null where nothing is said. Throws `format`. */
function eachLayer(
  config: ConfigFields,
  name: string,
  numLayers: number,
  isRight: (value: number) => boolean,
): readonly number[] | null {
  if (!config.has(name)) return null
  const all = config.isZero(name) ? 0 : isNumber(config, name) ? config.positive(name) : null
  const list = all === null ? (config.list(name) ?? []) : new Array<number>(numLayers).fill(all)
  if (list.length !== numLayers) throw config.fault(name, `has ${list.length} entries for ${numLayers} layers`)
  for (const [index, value] of list.entries())
    if (typeof value !== 'number' || !isRight(value))
      throw config.fault(`${name}[${index}]`, `is no number that it could be: ${String(value)}`)
  return list as number[]
}

function isNumber(config: ConfigFields, name: string): boolean {
  try {
    return config.positive(name) > 0
  } catch {
    return false
  }
}
