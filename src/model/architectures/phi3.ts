import type { Architecture } from './architecture.ts'
import { rowsFrom } from './fused-rows.ts'
import { readWindow } from './layer-types.ts'
import { gatedMlp, namedLikeLlama, plainAttention, plainDecoder, preNormLayer, rmsNorm } from './plain-decoder.ts'
import { readFrame } from './read-frame.ts'

/**
 * Phi-3 and Phi-4-mini: Llama with queries, keys and values in one matrix and gate and up in another, a sliding window
 * where the configuration has one, longrope (older configurations call it "su" or "yarn").
 *
 * Abdin et al.: Phi-3 Technical Report, 2024, arXiv 2404.14219.
 */
export const phi3: Architecture = {
  name: 'phi3',
  modelTypes: ['phi3'],
  ggufName: 'phi3',
  gguf: { fused: ['attention', 'mlp'] },
  // of longrope alone
  idle: ['original_max_position_embeddings'],
  spec(config, options) {
    const aliases = { su: 'longrope', yarn: 'longrope' }
    const { sizes, heads, rope } = readFrame(config, options, { maxPositions: 4096, aliases })
    const norm = rmsNorm(config)
    const attention = plainAttention(heads, rope, { window: readWindow(config, null) })
    const layer = preNormLayer(attention, gatedMlp(config), norm)
    return plainDecoder('phi3', sizes, () => layer, norm, { tied: config.flag('tie_word_embeddings', false) })
  },
  weights: namedLikeLlama({
    ...rowsFrom('layers.N.self_attn.qkv_proj', 'attention'),
    ...rowsFrom('layers.N.mlp.gate_up_proj', 'mlp'),
  }),
}
