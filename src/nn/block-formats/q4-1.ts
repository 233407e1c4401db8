// Q4_1: y = d · q + m. A block of 32 elements is the f16 d and m and 16 bytes of q as Q4_0 has them.
// llama.cpp, ggml/src/ggml-common.h (block_q4_1), ggml-quants.c (quantize_row_q4_1_ref, dequantize_row_q4_1).
import { blockFormat } from './block-format.ts'
import { fitRange, halvesAt } from './blocks-of-32.ts'

export const q4_1 = blockFormat({
  elements: 32,
  bytes: 20,
  ggml: { type: 3, fileType: 3 },
  quants: { fields: [halvesAt(4)] },
  group: 32,
  factor: { at: 0, as: 'f16' },
  offset: { kind: 'sum', at: 2 },
  writes: { largest: 65504, fit: (values) => fitRange(values, 15) },
})
