// Q6_K: y = d · scale · (q − 32), q in 0…63. A block of 256 elements, in sixteen groups of 16, is 128 bytes of the low 4
// bits of q, 64 bytes of the high 2 bits, 16 signed scales and the f16 d. Of every 128 elements, 64 bytes of low bits hold
// elements 0–63 in their low and 64–127 in their high halves, 32 bytes of high bits elements l, l + 32, l + 64, l + 96.
// llama.cpp, ggml/src/ggml-common.h (block_q6_K), ggml-quants.c (make_qx_quants, quantize_row_q6_K_ref,
// dequantize_row_q6_K).
import { blockFormat, type FittedBlock } from './block-format.ts'
import { nearestInteger } from './nearest-integer.ts'
import { asHalf } from './write-blocks.ts'

const groupSize = 16

export const q6_k = blockFormat({
  elements: 256,
  bytes: 210,
  ggml: { type: 14, fileType: 18 },
  quants: {
    fields: [
      { bits: 4, at: (i) => 8 * (64 * (i >> 7) + (i & 63)) + 4 * ((i >> 6) & 1) },
      { bits: 2, at: (i) => 8 * (128 + 32 * (i >> 7) + (i & 31)) + 2 * ((i >> 5) & 3) },
    ],
    minus: 32,
  },
  group: groupSize,
  factor: { at: 208, as: 'f16' },
  scales: { fields: [{ bits: 8, at: (g) => 8 * (192 + g) }], signed: true },
  writes: { largest: 65504 * 128, fit },
})

/** Each group gets the scale of least squared error, weighted by x², among 19 candidates, rounded to 8 bits. */
function fit(values: Float32Array): FittedBlock {
  const fits = Array.from({ length: values.length / groupSize }, (_, group) =>
    fitGroup(values.subarray(group * groupSize, (group + 1) * groupSize)),
  )
  let largest = 0
  for (const scale of fits) if (Math.abs(scale) > Math.abs(largest)) largest = scale
  const factor = asHalf(largest / -128)
  const scales = fits.map((scale) => (largest === 0 ? 0 : Math.min(127, nearestInteger((-128 / largest) * scale))))
  const quants = Uint8Array.from(values, (x, i) => {
    const scale = factor * scales[Math.floor(i / groupSize)]!
    // where the scale is 0 any q gives 0
    return 32 + (scale === 0 ? 0 : clampQuant(nearestInteger(x / scale)))
  })
  return { factor, scales, quants }
}

/** The scale, of either sign, of which scale · q is nearest to x, q in −32…31. */
function fitGroup(x: Float32Array): number {
  let largest = 0
  for (const v of x) if (Math.abs(v) > Math.abs(largest)) largest = v
  if (Math.abs(largest) < 1e-15) return 0
  let best = { scale: 0, gain: Number.NEGATIVE_INFINITY }
  for (let step = -9; step <= 9; step++) {
    const inverse = -(32 + 0.1 * step) / largest
    let [sumXQ, sumQQ] = [0, 0]
    for (const v of x) {
      const q = clampQuant(nearestInteger(inverse * v))
      sumXQ += v * v * v * q
      sumQQ += v * v * q * q
    }
    // what the best scale for these q takes off the squared error
    const gain = sumXQ ** 2 / sumQQ
    if (sumQQ > 0 && gain > best.gain) best = { scale: sumXQ / sumQQ, gain }
  }
  return best.scale
}

function clampQuant(quant: number): number {
  return Math.max(-32, Math.min(31, quant))
}
