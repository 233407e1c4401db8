// Q4_K: y = d · scale · q − dmin · min, q in 0…15. A block of 256 elements, in eight groups of 32, is the f16 d and dmin,
// 12 bytes of eight scales and eight mins of 6 bits, and 128 bytes of q: of every 64 elements, 32 bytes hold the first 32
// in their low and the others in their high halves.
// llama.cpp, ggml/src/ggml-common.h (block_q4_K), ggml-quants.c (get_scale_min_k4, make_qkx2_quants,
// quantize_row_q4_K_ref, dequantize_row_q4_K).
import { fromHalfBits, toHalfBits } from '../../tile/index.ts'
import { nearestInteger } from './nearest-integer.ts'

const elements = 256
const blockBytes = 144
const groupSize = 32
const groups = elements / groupSize

export function dequantizeQ4K(bytes: Uint8Array, count: number): Float32Array {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const values = new Float32Array(count)
  for (let block = 0, at = 0; block < count; block += elements, at += blockBytes) {
    const d = fromHalfBits(view.getUint16(at, true))
    const dmin = fromHalfBits(view.getUint16(at + 2, true))
    for (let group = 0; group < groups; group++) {
      const [scale, min] = readScale(bytes, at + 4, group)
      const [factor, offset] = [Math.fround(d * scale), Math.fround(dmin * min)]
      const quants = at + 16 + (group >> 1) * groupSize
      const shift = (group & 1) * 4
      for (let i = 0; i < groupSize; i++)
        values[block + group * groupSize + i] = factor * ((bytes[quants + i]! >> shift) & 15) - offset
    }
  }
  return values
}

/** Scale and min of a group: 6 bits each; the last four groups have their low 4 bits in bytes 8 to 11, the others above. */
function readScale(bytes: Uint8Array, at: number, group: number): [number, number] {
  if (group < 4) return [bytes[at + group]! & 63, bytes[at + group + 4]! & 63]
  const low = bytes[at + group + 4]!
  return [(low & 15) | ((bytes[at + group - 4]! >> 6) << 4), (low >> 4) | ((bytes[at + group]! >> 6) << 4)]
}

/** Each group gets the scale and min of least weighted squared error among 21 candidates, rounded to 6 bits. */
export function quantizeQ4K(values: Float32Array): Uint8Array {
  const bytes = new Uint8Array((values.length / elements) * blockBytes)
  const view = new DataView(bytes.buffer)
  for (let block = 0, at = 0; block < values.length; block += elements, at += blockBytes) {
    const fits = Array.from({ length: groups }, (_, group) => {
      const from = block + group * groupSize
      return fitGroup(values.subarray(from, from + groupSize))
    })
    const maxScale = Math.max(...fits.map((fit) => fit.scale))
    const maxMin = Math.max(...fits.map((fit) => fit.min))
    view.setUint16(at, toHalfBits(maxScale / 63), true)
    view.setUint16(at + 2, toHalfBits(maxMin / 63), true)
    const d = fromHalfBits(view.getUint16(at, true))
    const dmin = fromHalfBits(view.getUint16(at + 2, true))
    for (const [group, fit] of fits.entries()) {
      const scale = maxScale > 0 ? Math.min(63, nearestInteger((63 / maxScale) * fit.scale)) : 0
      const min = maxMin > 0 ? Math.min(63, nearestInteger((63 / maxMin) * fit.min)) : 0
      writeScale(bytes, at + 4, group, scale, min)
      if (d * scale === 0) continue
      const quants = at + 16 + (group >> 1) * groupSize
      const shift = (group & 1) * 4
      for (let i = 0; i < groupSize; i++) {
        const x = values[block + group * groupSize + i]!
        bytes[quants + i]! |= clampQuant(nearestInteger((x + dmin * min) / (d * scale))) << shift
      }
    }
  }
  return bytes
}

function writeScale(bytes: Uint8Array, at: number, group: number, scale: number, min: number): void {
  if (group < 4) {
    bytes[at + group] = scale
    bytes[at + group + 4] = min
    return
  }
  bytes[at + group + 4] = (scale & 15) | ((min & 15) << 4)
  bytes[at + group - 4]! |= (scale >> 4) << 6
  bytes[at + group]! |= (min >> 4) << 6
}

/** The scale ≥ 0 and min ≥ 0 of which scale · q − min is nearest to x: least squares for the q of each candidate scale. */
function fitGroup(x: Float32Array): { scale: number; min: number } {
  let power = 0
  let [low, high] = [0, x[0]!]
  for (const v of x) {
    power += v * v
    low = Math.min(low, v)
    high = Math.max(high, v)
  }
  if (high === low) return { scale: 0, min: -low }
  const weights = x.map((v) => Math.sqrt(power / groupSize) + Math.abs(v))
  let [sumW, sumX] = [0, 0]
  for (let i = 0; i < groupSize; i++) {
    sumW += weights[i]!
    sumX += weights[i]! * x[i]!
  }
  const error = (scale: number, base: number) => {
    let sum = 0
    for (let i = 0; i < groupSize; i++) sum += weights[i]! * (scale * quants[i]! + base - x[i]!) ** 2
    return sum
  }
  const quants = new Uint8Array(groupSize)
  const quantise = (inverse: number) => {
    for (let i = 0; i < groupSize; i++) quants[i] = clampQuant(nearestInteger(inverse * (x[i]! - low)))
  }
  let best = { scale: (high - low) / 15, base: low, error: 0 }
  quantise(15 / (high - low))
  best.error = error(best.scale, best.base)
  for (let step = 0; step <= 20; step++) {
    quantise((14 + 0.1 * step) / (high - low))
    let [sumQ, sumQQ, sumXQ] = [0, 0, 0]
    for (let i = 0; i < groupSize; i++) {
      const [w, q] = [weights[i]!, quants[i]!]
      sumQ += w * q
      sumQQ += w * q * q
      sumXQ += w * q * x[i]!
    }
    const determinant = sumW * sumQQ - sumQ * sumQ
    if (determinant <= 0) continue
    let scale = (sumW * sumXQ - sumX * sumQ) / determinant
    let base = (sumQQ * sumX - sumQ * sumXQ) / determinant
    // the stored min is not negative
    if (base > 0) [scale, base] = [sumXQ / sumQQ, 0]
    const found = error(scale, base)
    if (found < best.error) best = { scale, base, error: found }
  }
  return { scale: best.scale, min: -best.base }
}

function clampQuant(quant: number): number {
  return Math.max(0, Math.min(15, quant))
}
