import type { LayerSpec } from '../decoder-spec.ts'
import type { Architecture } from './architecture.ts'
import { headsFillWidth } from './gguf-facts.ts'
import { everyNth, type LayerType, readWindows } from './layer-types.ts'
import {
  afterNames,
  gatedMlp,
  namedLikeLlama,
  plainAttention,
  plainDecoder,
  readHeads,
  readSizes,
  rmsNorm,
} from './plain-decoder.ts'
import { readRope } from './read-rope.ts'

/**
 * OLMo 3: OLMo 2 with windows in three layers of four; layers with and without a window may turn by different settings.
 *
 * OLMo Team: Olmo 3, 2025, arXiv 2512.13961.
 */
export const olmo3: Architecture = {
  name: 'olmo3',
  modelTypes: ['olmo3'],
  ggufName: 'olmo2',
  gguf: { windowBase: null, refused: headsFillWidth },
  idle: ['sliding_window_pattern'],
  spec(config, options) {
    const sizes = readSizes(config, options)
    const heads = readHeads(config, sizes.hiddenSize)
    const ropeOf = (layerType: LayerType) => readRope(config, { ...heads, ...sizes, options, layerType })
    const bias = config.flag('attention_bias', false)
    const norm = rmsNorm(config)
    const windows = readWindows(config, sizes.numLayers, { window: 4096, type: everyNth(4) })
    const [full, sliding] = [ropeOf('full_attention'), ropeOf('sliding_attention')]
    const layer = (index: number): LayerSpec => {
      const window = windows[index] ?? null
      return {
        attention: plainAttention(heads, window === null ? full : sliding, {
          window,
          qkNorm: { norm, over: 'all' },
          qkvBias: bias,
          outputBias: bias,
        }),
        mlp: gatedMlp(config),
        norms: { beforeAttention: null, afterAttention: norm, beforeMlp: null, afterMlp: norm },
        parallel: false,
      }
    }
    return plainDecoder('olmo3', sizes, layer, norm, { tied: config.flag('tie_word_embeddings', false) })
  },
  weights: namedLikeLlama(afterNames),
}
