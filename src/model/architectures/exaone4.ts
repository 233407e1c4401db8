import type { LayerSpec } from '../decoder-spec.ts'
import type { Architecture } from './architecture.ts'
import type { ConfigFields } from './config-fields.ts'
import { everyNth, readWindow, readWindows } from './layer-types.ts'
import { afterNames, gatedMlp, namedLikeLlama, plainAttention, plainDecoder, rmsNorm } from './plain-decoder.ts'
import { readFrame } from './read-frame.ts'

/**
 * EXAONE 4: norms after both sublayers, queries and keys normalised head by head; where there is a window, three layers of
 * four have it, and the others have no positions.
 *
 * LG AI Research: EXAONE 4.0, 2025, arXiv 2507.11407.
 */
export const exaone4: Architecture = {
  name: 'exaone4',
  modelTypes: ['exaone4'],
  ggufName: 'exaone4',
  gguf: {
    divisors: true,
    refused: ({ layers }) =>
      layers.length !== 64 && layers.some(({ attention }) => attention.window !== null)
        ? 'windows in models of 64 layers alone'
        : undefined,
  },
  idle: ['sliding_window_pattern'],
  spec(config, options) {
    const { sizes, heads, rope } = readFrame(config, options)
    const norm = rmsNorm(config)
    const hasWindows = readWindow(config, null) !== null
    const type = everyNth(patternOf(config))
    const windows = readWindows(config, sizes.numLayers, { window: null, type })
    const layer = (index: number): LayerSpec => {
      const window = windows[index] ?? null
      const turns = !hasWindows || window !== null
      return {
        attention: plainAttention(heads, turns ? rope : null, { window, qkNorm: { norm, over: 'head' } }),
        mlp: gatedMlp(config),
        norms: { beforeAttention: null, afterAttention: norm, beforeMlp: null, afterMlp: norm },
        parallel: false,
      }
    }
    return plainDecoder('exaone4', sizes, layer, norm, { tied: config.flag('tie_word_embeddings', false) })
  },
  weights: namedLikeLlama(afterNames),
}

/** `sliding_window_pattern`: every so manieth layer sees all, or a string like "LLLG". */
function patternOf(config: ConfigFields): number {
  try {
    return config.size('sliding_window_pattern', 4)
  } catch {
    return config.text('sliding_window_pattern').length
  }
}
