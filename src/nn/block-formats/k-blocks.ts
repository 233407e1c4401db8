import type { BitField, FittedBlock, PackedNumber } from './block-format.ts'
import { nearestInteger } from './nearest-integer.ts'
import { asHalf } from './write-blocks.ts'

const groupSize = 32
const groups = 8

/** 4 bits of each of 256 elements: of every 64, 32 bytes hold the first 32 in their low and the others in their high halves. */
export function kHalvesAt(byte: number): BitField {
  return { bits: 4, at: (i) => 8 * (byte + 32 * (i >> 6) + (i & 31)) + 4 * ((i >> 5) & 1) }
}

/**
 * Scales and minima of eight groups, 6 bits each, from byte 4 on (get_scale_min_k4): those of the first four are the low 6 bits
 * of bytes 0 … 3 and 4 … 7; the others have their low 4 bits in bytes 8 to 11, their high 2 bits above the first.
 */
export const kScales: PackedNumber = {
  fields: [
    { bits: 4, at: (g) => 8 * (g < 4 ? 4 + g : 8 + g) },
    { bits: 2, at: (g) => (g < 4 ? 8 * (4 + g) + 4 : 8 * g + 6) },
  ],
}
export const kMinima: PackedNumber = {
  fields: [
    { bits: 4, at: (g) => (g < 4 ? 8 * (8 + g) : 8 * (8 + g) + 4) },
    { bits: 2, at: (g) => (g < 4 ? 8 * (8 + g) + 4 : 8 * (4 + g) + 6) },
  ],
}

/** The candidates of a search: quants of 0 … steps, the range divided into steps + from, steps + from + 0.1, … */
export interface ScaleSearch {
  readonly steps: number
  readonly from: number
  readonly tries: number
}

/** Each group gets the scale and min of least weighted squared error among the candidates, rounded to 6 bits (make_qkx2_quants). */
export function fitMinima(values: Float32Array, search: ScaleSearch): FittedBlock {
  const fits = Array.from({ length: groups }, (_, group) =>
    fitGroup(values.subarray(group * groupSize, (group + 1) * groupSize), search),
  )
  const maxScale = Math.max(...fits.map((fit) => fit.scale))
  const maxMin = Math.max(...fits.map((fit) => fit.min))
  const [factor, offset] = [asHalf(maxScale / 63), asHalf(maxMin / 63)]
  const round = (x: number, most: number) => (most > 0 ? Math.min(63, nearestInteger((63 / most) * x)) : 0)
  const scales = fits.map(({ scale }) => round(scale, maxScale))
  const minima = fits.map(({ min }) => round(min, maxMin))
  const quants = new Uint8Array(values.length)
  for (let i = 0; i < values.length; i++) {
    const scale = factor * scales[i >> 5]!
    // where the scale is 0 any q gives the min
    if (scale !== 0) quants[i] = clamp(nearestInteger((values[i]! + offset * minima[i >> 5]!) / scale), search.steps)
  }
  return { factor, offset, scales, minima, quants }
}

/** The scale ≥ 0 and min ≥ 0 of which scale · q − min is nearest to x: least squares for the q of each candidate scale. */
function fitGroup(x: Float32Array, { steps, from, tries }: ScaleSearch): { scale: number; min: number } {
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
    for (let i = 0; i < groupSize; i++) quants[i] = clamp(nearestInteger(inverse * (x[i]! - low)), steps)
  }
  let best = { scale: (high - low) / steps, base: low, error: 0 }
  quantise(steps / (high - low))
  best.error = error(best.scale, best.base)
  for (let step = 0; step <= tries; step++) {
    quantise((steps + from + 0.1 * step) / (high - low))
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

function clamp(quant: number, most: number): number {
  return Math.max(0, Math.min(most, quant))
}
