// Q2_K: y = d · scale · q − dmin · min, q in 0…3. A block of 256 elements, in sixteen groups of 16, is 16 bytes of a scale in
// their low and a min in their high halves, 64 bytes of q (of every 128 elements 32 bytes, elements l, l + 32, l + 64, l + 96
// in byte l), and the f16 d and dmin.
// llama.cpp, ggml/src/ggml-common.h (block_q2_K), ggml-quants.c (dequantize_row_q2_K).
import { blockFormat } from './block-format.ts'

export const q2_k = blockFormat({
  elements: 256,
  bytes: 84,
  ggml: { type: 10, fileType: 10 },
  quants: { fields: [{ bits: 2, at: (i) => 8 * (16 + 32 * (i >> 7) + (i & 31)) + 2 * ((i >> 5) & 3) }] },
  group: 16,
  factor: { at: 80, as: 'f16' },
  scales: { fields: [{ bits: 4, at: (g) => 8 * g }] },
  offset: { kind: 'minimum', at: 82, scales: { fields: [{ bits: 4, at: (g) => 8 * g + 4 }] } },
})
