import type { LayerSpec, RopeSpec } from '../decoder-spec.ts'
import { defaultRope } from '../rope/default-rope.ts'
import type { Architecture } from './architecture.ts'
import type { ConfigFields } from './config-fields.ts'
import type { GgufFacts } from './gguf-facts.ts'
import { readWindows } from './layer-types.ts'
import {
  gatedMlp,
  namedLikeLlama,
  plainAttention,
  plainDecoder,
  preNormLayer,
  readHeads,
  readSizes,
  rmsNorm,
  sinkName,
} from './plain-decoder.ts'
import { readRope } from './read-rope.ts'

/** The factors of a Granite: of embeddings, scores, what sublayers add, and (as a divisor) logits. */
export function graniteFactors(config: ConfigFields) {
  const residual = config.positive('residual_multiplier', 1)
  return {
    scale: config.positive('attention_multiplier', 1),
    branchScale: { attention: residual, mlp: residual },
    embeddingScale: config.positive('embedding_multiplier', 1),
    logitsScale: 1 / config.positive('logits_scaling', 1),
  }
}

/** The same in GGUF files, where scores without a factor are divided by √D. */
export const graniteFacts: GgufFacts = {
  fields: {
    logits_scaling: 'logit_scale',
    residual_multiplier: 'residual_scale',
    embedding_multiplier: 'embedding_scale',
    attention_multiplier: 'attention.scale',
  },
  means: ({ key }) => {
    const headDim = Number(
      key('attention.key_length') ?? Number(key('embedding_length')) / Number(key('attention.head_count')),
    )
    return { attention_multiplier: key('attention.scale') || headDim ** -0.5 }
  },
  reordered: true,
  biases: ['output', 'mlp'],
  divisors: true,
}

/**
 * Granite 3: Llama with four factors: of embeddings, of scores in place of 1 / √D, of what sublayers add, and a divisor of
 * logits. With `granite_swa` layers have windows, learned sinks and a rotary base each (0: no positions).
 *
 * IBM Granite Team: Granite 3.0 Language Models, 2024 (no arXiv number).
 */
export const granite: Architecture = {
  name: 'granite',
  modelTypes: ['granite', 'granite_swa'],
  ggufName: 'granite',
  gguf: graniteFacts,
  spec(config, options) {
    const sizes = readSizes(config, options)
    const heads = readHeads(config, sizes.hiddenSize)
    const windowed = config.text('model_type', 'granite') === 'granite_swa'
    const rope = readRope(config, { ...heads, ...sizes, options })
    const bias = config.flag('attention_bias', false)
    const norm = rmsNorm(config)
    const mlp = gatedMlp(config, { bias: config.flag('mlp_bias', false) })
    const { scale, branchScale, ...factors } = graniteFactors(config)
    const windows = windowed ? readWindows(config, sizes.numLayers, { window: null, type: () => 'full_attention' }) : []
    const thetas = config.list('layer_rope_theta')
    const layer = (index: number): LayerSpec => {
      const attention = plainAttention(heads, thetas ? ropeOf(config, thetas, index, heads.headDim) : rope, {
        scale,
        window: windows[index] ?? null,
        ...(windowed && { sinks: true }),
        qkvBias: bias,
        outputBias: bias,
      })
      return { ...preNormLayer(attention, mlp, norm), branchScale }
    }
    return plainDecoder('granite', sizes, layer, norm, { tied: config.flag('tie_word_embeddings', false), ...factors })
  },
  weights: namedLikeLlama(sinkName),
}

/** The rotation of a layer by its own base. */
function ropeOf(config: ConfigFields, thetas: readonly unknown[], index: number, rotaryDim: number): RopeSpec | null {
  const theta = thetas[index]
  if (theta === 0) return null
  if (typeof theta !== 'number' || !(theta > 0))
    throw config.fault(`layer_rope_theta[${index}]`, `must be a base, or 0 for none, got ${String(theta)}`)
  return { rotaryDim, interleaved: false, ...defaultRope({ rotaryDim, theta }) }
}
