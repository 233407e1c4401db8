import type { Architecture } from './architecture.ts'
import type { ConfigFields } from './config-fields.ts'
import { readLayerTypes, readWindow } from './layer-types.ts'
import { gatedMlp, namedLikeLlama, plainAttention, plainDecoder, preNormLayer, rmsNorm } from './plain-decoder.ts'
import { readFrame } from './read-frame.ts'

/**
 * Qwen 2 and 2.5: Llama with biases of queries, keys and values; the layers from `max_window_layers` on see a sliding
 * window when `use_sliding_window` is set.
 *
 * Yang et al.: Qwen2 Technical Report, 2024, arXiv 2407.10671.
 */
export const qwen2: Architecture = {
  name: 'qwen2',
  modelTypes: ['qwen2'],
  ggufName: 'qwen2',
  // windows that are switched off; the biases are there whatever a configuration says
  idle: ['sliding_window', 'max_window_layers', 'attention_bias', 'qkv_bias'],
  spec(config, options) {
    const { sizes, heads, rope } = readFrame(config, options, { maxPositions: 32_768 })
    const norm = rmsNorm(config)
    const mlp = gatedMlp(config)
    const windows = qwenWindows(config, sizes.numLayers)
    const layer = (index: number) =>
      preNormLayer(plainAttention(heads, rope, { qkvBias: true, window: windows[index] ?? null }), mlp, norm)
    return plainDecoder('qwen2', sizes, layer, norm, { tied: config.flag('tie_word_embeddings', false) })
  },
  weights: namedLikeLlama(),
}

/** The window of each layer, null for none. */
export function qwenWindows(config: ConfigFields, numLayers: number): readonly (number | null)[] {
  const window = config.flag('use_sliding_window', false) ? readWindow(config, 4096) : null
  // the number may be 0, which `size` would refuse
  const firstSliding = config.token('max_window_layers') ?? 28
  const types = readLayerTypes(config, numLayers, (index) =>
    window !== null && index >= firstSliding ? 'sliding_attention' : 'full_attention',
  )
  return types.map((type) => (type === 'sliding_attention' ? window : null))
}
