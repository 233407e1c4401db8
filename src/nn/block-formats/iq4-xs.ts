// IQ4_XS: y = d · (scale − 32) · table[q]. A block of 256 elements, in eight groups of 32, is the f16 d, 2 bytes of the high 2
// bits of each scale, 4 bytes of their low 4, and 128 bytes of q, 16 for each group, as Q4_0 has them.
// llama.cpp, ggml/src/ggml-common.h (block_iq4_xs), ggml-quants.c (dequantize_row_iq4_xs).
import { blockFormat } from './block-format.ts'
import { unevenLevels } from './iq4-nl.ts'

export const iq4_xs = blockFormat({
  elements: 256,
  bytes: 136,
  ggml: { type: 23, fileType: 30 },
  quants: { fields: [{ bits: 4, at: (i) => 8 * (8 + 16 * (i >> 5) + (i & 15)) + 4 * ((i >> 4) & 1) }] },
  table: unevenLevels,
  group: 32,
  factor: { at: 0, as: 'f16' },
  scales: {
    fields: [
      { bits: 4, at: (g) => 32 + 4 * g },
      { bits: 2, at: (g) => 16 + 2 * g },
    ],
    minus: 32,
  },
})
