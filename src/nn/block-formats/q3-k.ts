// Q3_K: y = d · (scale − 32) · (q − 4), q in 0…7. A block of 256 elements, in sixteen groups of 16, is 32 bytes of the highest
// bits of q (bit j of byte l is that of element 32 j + l), 64 bytes of its low 2 bits (of every 128 elements 32 bytes, elements
// l, l + 32, l + 64, l + 96 in byte l), 12 bytes of sixteen scales of 6 bits and the f16 d. Scales 0–7 have their low 4 bits in
// the low and 8–15 in the high halves of the first 8 bytes; bits 2 j and 2 j + 1 of the last four are the high 2 of scale 4 j + byte.
// llama.cpp, ggml/src/ggml-common.h (block_q3_K), ggml-quants.c (dequantize_row_q3_K).
import { blockFormat } from './block-format.ts'

export const q3_k = blockFormat({
  elements: 256,
  bytes: 110,
  ggml: { type: 11, fileType: 12 },
  quants: {
    fields: [
      { bits: 2, at: (i) => 8 * (32 + 32 * (i >> 7) + (i & 31)) + 2 * ((i >> 5) & 3) },
      { bits: 1, at: (i) => 8 * (i & 31) + (i >> 5) },
    ],
    minus: 4,
  },
  group: 16,
  factor: { at: 108, as: 'f16' },
  scales: {
    fields: [
      { bits: 4, at: (g) => 8 * (96 + (g & 7)) + 4 * (g >> 3) },
      { bits: 2, at: (g) => 8 * (104 + (g & 3)) + 2 * (g >> 2) },
    ],
    minus: 32,
  },
})
