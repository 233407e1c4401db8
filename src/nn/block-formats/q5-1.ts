// Q5_1: y = d · q + m, q in 0…31. A block of 32 elements is the f16 d and m, then the bits of q as Q5_0 has them.
// llama.cpp, ggml/src/ggml-common.h (block_q5_1), ggml-quants.c (quantize_row_q5_1_ref, dequantize_row_q5_1).
import { blockFormat } from './block-format.ts'
import { fitRange, halvesAt } from './blocks-of-32.ts'

export const q5_1 = blockFormat({
  elements: 32,
  bytes: 24,
  ggml: { type: 7, fileType: 9 },
  quants: { fields: [halvesAt(8), { bits: 1, at: (i) => 32 + i }] },
  group: 32,
  factor: { at: 0, as: 'f16' },
  offset: { kind: 'sum', at: 2 },
  writes: { largest: 65504, fit: (values) => fitRange(values, 31) },
})
