import type { BitField, FittedBlock } from './block-format.ts'

/** 4 bits of each of 32 elements: byte i from `byte` on holds element i in its low and element i + 16 in its high half. */
export function halvesAt(byte: number): BitField {
  return { bits: 4, at: (i) => 8 * (byte + (i & 15)) + 4 * (i >> 4) }
}

/**
 * q − middle: factor = x / −middle of the x that is largest absolutely, sign kept, so that it is met exactly;
 * q = ⌊x / factor + middle + 1/2⌋, at most 2 middle − 1, in f32 as ggml computes.
 */
export function fitAround(values: Float32Array, middle: number): FittedBlock {
  let largest = 0
  for (let i = 0; i < values.length; i++) if (Math.abs(values[i]!) > Math.abs(largest)) largest = values[i]!
  const factor = Math.fround(largest / -middle)
  const inverse = factor === 0 ? 0 : Math.fround(1 / factor)
  const quants = new Uint8Array(values.length)
  for (let i = 0; i < values.length; i++)
    quants[i] = Math.min(2 * middle - 1, Math.trunc(Math.fround(Math.fround(values[i]! * inverse) + middle + 0.5)))
  return { factor, quants }
}

/** factor · q + offset: the least is met exactly, the range divided into `steps`; q = ⌊(x − least) / factor + 1/2⌋. */
export function fitRange(values: Float32Array, steps: number): FittedBlock {
  let [least, most] = [values[0]!, values[0]!]
  for (let i = 1; i < values.length; i++) {
    least = Math.min(least, values[i]!)
    most = Math.max(most, values[i]!)
  }
  const factor = Math.fround(Math.fround(most - least) / steps)
  const inverse = factor === 0 ? 0 : Math.fround(1 / factor)
  const quants = new Uint8Array(values.length)
  for (let i = 0; i < values.length; i++) {
    const shifted = Math.fround(values[i]! - least)
    quants[i] = Math.min(steps, Math.trunc(Math.fround(Math.fround(shifted * inverse) + 0.5)))
  }
  return { factor, offset: least, quants }
}
