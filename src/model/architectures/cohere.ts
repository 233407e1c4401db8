import type { NormSpec } from '../decoder-spec.ts'
import type { Architecture, WeightNames } from './architecture.ts'
import type { ConfigFields } from './config-fields.ts'
import { type GgufFacts, headsFillWidth, oneNorm } from './gguf-facts.ts'
import { everyNth, readWindows } from './layer-types.ts'
import { gatedMlp, layerNorm, namedLikeLlama, plainAttention, plainDecoder, preNormLayer } from './plain-decoder.ts'
import { readFrame } from './read-frame.ts'

/** Both sublayers read one norm of the layer's input. */
export const cohereNames: WeightNames = { 'layers.N.norms.beforeMlp': 'layers.N.input_layernorm' }

/** A layer norm without a bias. */
export function cohereNorm(config: ConfigFields): NormSpec {
  return layerNorm(config, 'layer_norm_eps', { bias: false })
}

/** The embedding gives the logits, times a scale that all files say. */
const cohereFacts: GgufFacts = {
  fields: { logit_scale: 'logit_scale' },
  means: () => ({ tie_word_embeddings: true }),
  names: () => oneNorm,
}

/**
 * Cohere Command R: attention and MLP side by side over one layer norm without bias, neighbours turn as pairs, logits times
 * `logit_scale`; queries and keys normalised with a weight for each head where `use_qk_norm`.
 *
 * Cohere: Command R, 2024 (no paper); the form is that of Hugging Face transformers.
 */
export const cohere: Architecture = {
  name: 'cohere',
  modelTypes: ['cohere'],
  ggufName: 'command-r',
  gguf: {
    ...cohereFacts,
    refused: (spec) =>
      spec.layers.length < 64 && spec.layers.some(({ attention }) => attention.qkNorm)
        ? 'norms of queries and keys in models of 64 layers and more alone'
        : headsFillWidth(spec),
  },
  spec(config, options) {
    const { sizes, heads, rope } = readFrame(config, options, { maxPositions: 8192, interleaved: true })
    const bias = config.flag('attention_bias', false)
    const norm = cohereNorm(config)
    const attention = plainAttention(heads, rope, {
      qkNorm: config.flag('use_qk_norm', false) ? { norm, over: 'each head' } : null,
      qkvBias: bias,
      outputBias: bias,
    })
    const layer = { ...preNormLayer(attention, gatedMlp(config), norm), parallel: true }
    return plainDecoder('cohere', sizes, () => layer, norm, {
      tied: config.flag('tie_word_embeddings', true),
      logitsScale: config.positive('logit_scale', 0.0625),
    })
  },
  weights: namedLikeLlama(cohereNames),
}

/**
 * Cohere Command R7B and A: Cohere with windows in three layers of four; only these turn queries and keys.
 *
 * Cohere: Command A, 2025, arXiv 2504.00698.
 */
export const cohere2: Architecture = {
  name: 'cohere2',
  modelTypes: ['cohere2'],
  ggufName: 'cohere2',
  gguf: { ...cohereFacts, divisors: true, refused: headsFillWidth },
  idle: [
    'sliding_window_pattern',
    'order_of_interleaved_layers',
    'rotary_pct',
    'position_embedding_type',
    'layer_switch',
  ],
  spec(config, options) {
    const { sizes, heads, rope } = readFrame(config, options, { maxPositions: 8192, interleaved: true })
    const bias = config.flag('attention_bias', false)
    const norm = cohereNorm(config)
    const type = everyNth(config.size('sliding_window_pattern', 4))
    const windows = readWindows(config, sizes.numLayers, { window: 4096, type })
    const layer = (index: number) => {
      const window = windows[index] ?? null
      const attention = plainAttention(heads, window === null ? null : rope, {
        window,
        qkvBias: bias,
        outputBias: bias,
      })
      return { ...preNormLayer(attention, gatedMlp(config), norm), parallel: true }
    }
    return plainDecoder('cohere2', sizes, layer, norm, {
      tied: config.flag('tie_word_embeddings', true),
      logitsScale: config.positive('logit_scale', 0.0625),
    })
  },
  weights: namedLikeLlama(cohereNames),
}
