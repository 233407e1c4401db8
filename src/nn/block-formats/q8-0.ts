// Q8_0: y = d · q. A block of 32 elements is an f16 scale d and 32 signed bytes q.
// llama.cpp, ggml/src/ggml-common.h (block_q8_0), ggml-quants.c (quantize_row_q8_0_ref, dequantize_row_q8_0).
import { blockFormat } from './block-format.ts'

export const q8_0 = blockFormat({
  elements: 32,
  bytes: 34,
  ggml: { type: 8, fileType: 7 },
  quants: { fields: [{ bits: 8, at: (i) => 16 + 8 * i }], signed: true },
  group: 32,
  factor: { at: 0, as: 'f16' },
  writes: { largest: 65504 * 127, fit },
})

/** d = max |x| / 127, q = x / d rounded half away from zero, in f32 as the reference computes. */
function fit(values: Float32Array) {
  let largest = 0
  for (let i = 0; i < values.length; i++) largest = Math.max(largest, Math.abs(values[i]!))
  const factor = Math.fround(largest / 127)
  const inverse = factor === 0 ? 0 : Math.fround(1 / factor)
  const quants = new Int8Array(values.length)
  for (let i = 0; i < values.length; i++) {
    const scaled = Math.fround(values[i]! * inverse)
    quants[i] = scaled < 0 ? -Math.floor(0.5 - scaled) : Math.floor(scaled + 0.5)
  }
  return { factor, quants }
}
