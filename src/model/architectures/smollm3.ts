import type { Architecture } from './architecture.ts'
import type { ConfigFields } from './config-fields.ts'
import { readLayerTypes, readWindow } from './layer-types.ts'
import { gatedMlp, namedLikeLlama, plainAttention, plainDecoder, preNormLayer, rmsNorm } from './plain-decoder.ts'
import { readFrame } from './read-frame.ts'

/**
 * SmolLM3: Llama whose every fourth layer has no positions at all; those see a sliding window when `use_sliding_window`
 * is set.
 *
 * Bakouch et al.: SmolLM3, 2025 (no paper); NoPE layers after Yang et al., 2025, arXiv 2501.18795.
 */
export const smollm3: Architecture = {
  name: 'smollm3',
  modelTypes: ['smollm3'],
  ggufName: 'smollm3',
  gguf: { reordered: true },
  // windows that are switched off, and what a list of layers replaces
  idle: ['sliding_window', 'max_window_layers', 'no_rope_layer_interval'],
  spec(config, options) {
    const { sizes, heads, rope } = readFrame(config, options, { maxPositions: 32_768, theta: 2_000_000 })
    const turns = ropeLayers(config, sizes.numLayers)
    const window = config.flag('use_sliding_window', false) ? readWindow(config, null) : null
    const types = readLayerTypes(config, sizes.numLayers, (index) =>
      window !== null && !turns[index] ? 'sliding_attention' : 'full_attention',
    )
    const bias = config.flag('attention_bias', false)
    const norm = rmsNorm(config)
    const mlp = gatedMlp(config, { bias: config.flag('mlp_bias', false) })
    const layer = (index: number) => {
      const attention = plainAttention(heads, turns[index] ? rope : null, {
        window: types[index] === 'sliding_attention' ? window : null,
        qkvBias: bias,
        outputBias: bias,
      })
      return preNormLayer(attention, mlp, norm)
    }
    return plainDecoder('smollm3', sizes, layer, norm, { tied: config.flag('tie_word_embeddings', true) })
  },
  weights: namedLikeLlama(),
}

/** Which layers have rotary positions: `no_rope_layers` has, despite its name, 1 for those that do. */
function ropeLayers(config: ConfigFields, numLayers: number): readonly boolean[] {
  const list = config.list('no_rope_layers')
  if (!list) {
    const interval = config.size('no_rope_layer_interval', 4)
    return Array.from({ length: numLayers }, (_, index) => (index + 1) % interval !== 0)
  }
  if (list.length < numLayers)
    throw config.fault('no_rope_layers', `has ${list.length} entries for ${numLayers} layers`)
  return list.slice(0, numLayers).map((turns, index) => {
    if (turns === 0 || turns === 1) return turns === 1
    throw config.fault(`no_rope_layers[${index}]`, `must be 0 or 1, got ${String(turns)}`)
  })
}
