// Q5_K: y = d · scale · q − dmin · min, q in 0…31. A block of 256 elements is as Q4_K has it, with 32 bytes before the low 4
// bits of q: bit g of byte i is the highest of element i of group g.
// llama.cpp, ggml/src/ggml-common.h (block_q5_K), ggml-quants.c (quantize_row_q5_K_ref, dequantize_row_q5_K).
import { blockFormat } from './block-format.ts'
import { fitMinima, kHalvesAt, kMinima, kScales } from './k-blocks.ts'

export const q5_k = blockFormat({
  elements: 256,
  bytes: 176,
  ggml: { type: 13, fileType: 17 },
  quants: { fields: [kHalvesAt(48), { bits: 1, at: (i) => 8 * (16 + (i & 31)) + (i >> 5) }] },
  group: 32,
  factor: { at: 0, as: 'f16' },
  scales: kScales,
  offset: { kind: 'minimum', at: 2, scales: kMinima },
  writes: { largest: 65504 * 63, fit: (values) => fitMinima(values, { steps: 31, from: -0.5, tries: 15 }) },
})
