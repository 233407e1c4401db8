// Q6_K: y = d · scale · (q − 32), q in 0…63. A block of 256 elements, in sixteen groups of 16, is 128 bytes of the low 4
// bits of q, 64 bytes of the high 2 bits, 16 signed scales and the f16 d. Of every 128 elements, 64 bytes of low bits hold
// elements 0–63 in their low and 64–127 in their high halves, 32 bytes of high bits elements l, l + 32, l + 64, l + 96.
// llama.cpp, ggml/src/ggml-common.h (block_q6_K), ggml-quants.c (make_qx_quants, quantize_row_q6_K_ref,
// dequantize_row_q6_K).
import { fromHalfBits, toHalfBits } from '../../tile/index.ts'
import { nearestInteger } from './nearest-integer.ts'

const elements = 256
const blockBytes = 210
const groupSize = 16
/** where the parts of a block begin */
const highBits = 128
const scales = 192
const factor = 208

export function dequantizeQ6K(bytes: Uint8Array, count: number): Float32Array {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const values = new Float32Array(count)
  for (let block = 0, at = 0; block < count; block += elements, at += blockBytes) {
    const d = fromHalfBits(view.getUint16(at + factor, true))
    for (let i = 0; i < elements; i++) {
      const { low, lowShift, high, highShift } = placeOf(i)
      const q = ((bytes[at + low]! >> lowShift) & 15) | (((bytes[at + high]! >> highShift) & 3) << 4)
      const scale = Math.fround(d * view.getInt8(at + scales + (i >> 4)))
      values[block + i] = scale * (q - 32)
    }
  }
  return values
}

/** The bytes that hold element i of a block, and how far up in them its bits are. */
function placeOf(i: number): { low: number; lowShift: number; high: number; highShift: number } {
  const half = i >> 7
  const within = i & 127
  return {
    low: half * 64 + (within & 63),
    lowShift: (within >> 6) * 4,
    high: highBits + half * 32 + (within & 31),
    highShift: (within >> 5) * 2,
  }
}

/** Each group gets the scale of least squared error, weighted by x², among 19 candidates, rounded to 8 bits. */
export function quantizeQ6K(values: Float32Array): Uint8Array {
  const bytes = new Uint8Array((values.length / elements) * blockBytes)
  const view = new DataView(bytes.buffer)
  for (let block = 0, at = 0; block < values.length; block += elements, at += blockBytes) {
    const fits = Array.from({ length: elements / groupSize }, (_, group) => {
      const from = block + group * groupSize
      return fitGroup(values.subarray(from, from + groupSize))
    })
    let largest = 0
    for (const fit of fits) if (Math.abs(fit) > Math.abs(largest)) largest = fit
    view.setUint16(at + factor, toHalfBits(largest / -128), true)
    const d = fromHalfBits(view.getUint16(at + factor, true))
    for (const [group, fit] of fits.entries()) {
      const scale = largest === 0 ? 0 : Math.min(127, nearestInteger((-128 / largest) * fit))
      view.setInt8(at + scales + group, scale)
      for (let i = group * groupSize; i < (group + 1) * groupSize; i++) {
        // where the scale is 0 any q gives 0
        const q = d * scale === 0 ? 0 : clampQuant(nearestInteger(values[block + i]! / (d * scale)))
        const { low, lowShift, high, highShift } = placeOf(i)
        bytes[at + low]! |= ((q + 32) & 15) << lowShift
        bytes[at + high]! |= ((q + 32) >> 4) << highShift
      }
    }
  }
  return bytes
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
