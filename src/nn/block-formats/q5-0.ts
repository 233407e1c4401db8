// Q5_0: y = d · (q − 16), q in 0…31. A block of 32 elements is an f16 scale d, 32 bits that are the highest of each q, and
// 16 bytes of the low 4 bits as Q4_0 has them.
// llama.cpp, ggml/src/ggml-common.h (block_q5_0), ggml-quants.c (quantize_row_q5_0_ref, dequantize_row_q5_0).
import { blockFormat } from './block-format.ts'
import { fitAround, halvesAt } from './blocks-of-32.ts'

export const q5_0 = blockFormat({
  elements: 32,
  bytes: 22,
  ggml: { type: 6, fileType: 8 },
  quants: { fields: [halvesAt(6), { bits: 1, at: (i) => 16 + i }], minus: 16 },
  group: 32,
  factor: { at: 0, as: 'f16' },
  writes: { largest: 65504 * 16, fit: (values) => fitAround(values, 16) },
})
