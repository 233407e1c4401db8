// IQ4_NL: y = d · table[q]. A block of 32 elements is as Q4_0 has it.
// llama.cpp, ggml/src/ggml-common.h (block_iq4_nl, kvalues_iq4nl), ggml-quants.c (dequantize_row_iq4_nl).
import { blockFormat } from './block-format.ts'
import { halvesAt } from './blocks-of-32.ts'

/** Levels that lie closer where weights do. */
export const unevenLevels: readonly number[] = [
  -127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113,
]

export const iq4_nl = blockFormat({
  elements: 32,
  bytes: 18,
  ggml: { type: 20, fileType: 25 },
  quants: { fields: [halvesAt(2)] },
  table: unevenLevels,
  group: 32,
  factor: { at: 0, as: 'f16' },
})
