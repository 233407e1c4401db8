// Q4_0: y = d · (q − 8). A block of 32 elements is an f16 scale d and 16 bytes, of which byte i holds the q of element i
// in its low and of element i + 16 in its high half.
// llama.cpp, ggml/src/ggml-common.h (block_q4_0), ggml-quants.c (quantize_row_q4_0_ref, dequantize_row_q4_0).
import { blockFormat } from './block-format.ts'
import { fitAround, halvesAt } from './blocks-of-32.ts'

export const q4_0 = blockFormat({
  elements: 32,
  bytes: 18,
  ggml: { type: 2, fileType: 2 },
  quants: { fields: [halvesAt(2)], minus: 8 },
  group: 32,
  factor: { at: 0, as: 'f16' },
  writes: { largest: 65504 * 8, fit: (values) => fitAround(values, 8) },
})
