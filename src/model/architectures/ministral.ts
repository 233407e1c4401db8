import type { AttentionSpec } from '../decoder-spec.ts'
import type { Architecture } from './architecture.ts'
import type { ConfigFields } from './config-fields.ts'
import { readWindow, readWindows } from './layer-types.ts'
import { gatedMlp, namedLikeLlama, plainAttention, plainDecoder, preNormLayer, rmsNorm } from './plain-decoder.ts'
import { readFrame } from './read-frame.ts'
import { ropeSection } from './rope-section.ts'

/**
 * Ministral: Mistral with a list that says which layers have its window.
 *
 * Mistral AI: Ministral 8B, 2024 (no paper).
 */
export const ministral: Architecture = {
  name: 'ministral',
  modelTypes: ['ministral'],
  spec(config, options) {
    const { sizes, heads, rope } = readFrame(config, options, { maxPositions: 4096 * 32 })
    const norm = rmsNorm(config)
    const mlp = gatedMlp(config)
    const windows = readWindows(config, sizes.numLayers, { window: 4096, type: () => 'sliding_attention' })
    const layer = (index: number) =>
      preNormLayer(plainAttention(heads, rope, { window: windows[index] ?? null }), mlp, norm)
    return plainDecoder('ministral', sizes, layer, norm, { tied: config.flag('tie_word_embeddings', false) })
  },
  weights: namedLikeLlama(),
}

/**
 * Ministral 3: Mistral over YaRN, whose queries grow with the logarithm of their position beyond the original length.
 *
 * Mistral AI: Ministral 3, 2026, arXiv 2601.08584.
 */
export const ministral3: Architecture = {
  name: 'ministral3',
  modelTypes: ['ministral3'],
  spec(config, options) {
    const { sizes, heads, rope } = readFrame(config, options, { maxPositions: 262_144 })
    const norm = rmsNorm(config)
    const window = readWindow(config, null)
    const attention = plainAttention(heads, rope, { window, ...queryTemperature(config) })
    const layer = preNormLayer(attention, gatedMlp(config), norm)
    return plainDecoder('ministral3', sizes, () => layer, norm, { tied: config.flag('tie_word_embeddings', false) })
  },
  weights: namedLikeLlama(),
}

/** `llama_4_scaling_beta` of the rotary settings: queries times 1 + beta · ln(1 + ⌊position / original length⌋). */
export function queryTemperature(config: ConfigFields): Pick<AttentionSpec, 'temperature'> {
  const scaling = ropeSection(config)
  if (!scaling?.has('llama_4_scaling_beta')) return {}
  const strength = scaling.positive('llama_4_scaling_beta')
  return { temperature: { strength, period: scaling.size('original_max_position_embeddings'), offset: 0 } }
}
