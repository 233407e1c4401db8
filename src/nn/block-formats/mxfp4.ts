// MXFP4: y = 2^(e − 127) · f4(q), f4 of 1 sign, 2 exponent and 1 mantissa bits (OCP Microscaling Formats 1.0). A block of 32
// elements is the byte e and 16 bytes of q as Q4_0 has them. The table holds 2 f4, the factor is half of what e says.
// llama.cpp, ggml/src/ggml-common.h (block_mxfp4, kvalues_mxfp4), ggml-quants.c (quantize_row_mxfp4_ref,
// dequantize_row_mxfp4).
import { blockFormat, type FittedBlock } from './block-format.ts'
import { halvesAt } from './blocks-of-32.ts'

const table = [0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12]

export const mxfp4 = blockFormat({
  elements: 32,
  bytes: 17,
  ggml: { type: 39, fileType: 38 },
  quants: { fields: [halvesAt(1)] },
  table,
  group: 32,
  factor: { at: 0, as: 'e8m0' },
  writes: { largest: 3.4e38, fit },
})

/** The largest value gets the exponent of f4's largest, 2; each quant is the one whose value is nearest, the first of two. */
function fit(values: Float32Array): FittedBlock {
  let largest = 0
  for (const x of values) largest = Math.max(largest, Math.abs(x))
  const exponent = largest > 0 ? Math.max(-127, Math.floor(Math.log2(largest)) - 2) : -127
  const factor = 2 ** (exponent - 1)
  const quants = Uint8Array.from(values, (x) => {
    let best = 0
    for (let q = 1; q < 16; q++) if (Math.abs(factor * table[q]! - x) < Math.abs(factor * table[best]! - x)) best = q
    return best
  })
  return { factor, quants }
}
