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
  for (const x of values) if (Math.abs(x) > Math.abs(largest)) largest = x
  const factor = Math.fround(largest / -middle)
  const inverse = factor === 0 ? 0 : Math.fround(1 / factor)
  const quant = (x: number) => Math.trunc(Math.fround(Math.fround(x * inverse) + middle + 0.5))
  return { factor, quants: Uint8Array.from(values, (x) => Math.min(2 * middle - 1, quant(x))) }
}

/** factor · q + offset: the least is met exactly, the range divided into `steps`; q = ⌊(x − least) / factor + 1/2⌋. */
export function fitRange(values: Float32Array, steps: number): FittedBlock {
  let [least, most] = [values[0]!, values[0]!]
  for (const x of values) {
    least = Math.min(least, x)
    most = Math.max(most, x)
  }
  const factor = Math.fround(Math.fround(most - least) / steps)
  const inverse = factor === 0 ? 0 : Math.fround(1 / factor)
  const quant = (x: number) => Math.trunc(Math.fround(Math.fround(Math.fround(x - least) * inverse) + 0.5))
  return { factor, offset: least, quants: Uint8Array.from(values, (x) => Math.min(steps, quant(x))) }
}
