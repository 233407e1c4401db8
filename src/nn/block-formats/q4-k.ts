// Q4_K: y = d · scale · q − dmin · min, q in 0…15. A block of 256 elements, in eight groups of 32, is the f16 d and dmin,
// 12 bytes of eight scales and eight mins of 6 bits, and 128 bytes of q: of every 64 elements, 32 bytes hold the first 32
// in their low and the others in their high halves.
// llama.cpp, ggml/src/ggml-common.h (block_q4_K), ggml-quants.c (quantize_row_q4_K_ref, dequantize_row_q4_K).
import { blockFormat } from './block-format.ts'
import { fitMinima, kHalvesAt, kMinima, kScales } from './k-blocks.ts'

export const q4_k = blockFormat({
  elements: 256,
  bytes: 144,
  ggml: { type: 12, fileType: 15 },
  quants: { fields: [kHalvesAt(16)] },
  group: 32,
  factor: { at: 0, as: 'f16' },
  scales: kScales,
  offset: { kind: 'minimum', at: 2, scales: kMinima },
  writes: { largest: 65504 * 63, fit: (values) => fitMinima(values, { steps: 15, from: -1, tries: 20 }) },
})
