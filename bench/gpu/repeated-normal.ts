import { randomNormal } from '../../src/cli/random-normal.ts'
import { roundTo, toHalfBits } from '../../src/ir/narrow-float.ts'

/** Elements of a tensor too large to draw one by one. */
export interface RepeatedNormal {
  readonly dtype: 'f32' | 'f16'
  /** as a device takes them: raw bits for f16 */
  readonly data: Float32Array | Uint16Array
  /** element i of the tensor is pattern[at(i)], and `width` elements from there on follow each other */
  readonly pattern: Float32Array
  at(i: number): number
}

// a prime, so that rows of any power of two stand differently in it
const period = 1_048_573
/** how many elements may be read on from any place */
const width = 256

/** `count` numbers of a normal distribution, rounded to the dtype; they repeat after a million. */
export function repeatedNormal(count: number, dtype: 'f32' | 'f16', seed: number): RepeatedNormal {
  const drawn = randomNormal(period, seed).map((x) => roundTo(dtype, x))
  const pattern = new Float32Array(period + width)
  pattern.set(drawn)
  pattern.set(drawn.subarray(0, width), period)
  const stored = dtype === 'f32' ? drawn : Uint16Array.from(drawn, toHalfBits)
  const data = dtype === 'f32' ? new Float32Array(count) : new Uint16Array(count)
  data.set(stored.subarray(0, Math.min(count, period)))
  // what is filled is a whole number of periods until the end
  for (let filled = period; filled < count; filled *= 2) data.copyWithin(filled, 0, Math.min(filled, count - filled))
  return { dtype, data, pattern, at: (i) => i % period }
}
