import type { Value } from './value.ts'

/** A bijection of 32-bit words (u32) in which every bit hangs on every other (C. Wellons's lowbias32); `key` enters half-way. */
export function mixBits(word: Value, key?: Value): Value {
  const one = word.xor(word.shr(16)).mul(0x7feb352d)
  const keyed = key ? one.xor(key) : one
  const two = keyed.xor(keyed.shr(15)).mul(0x846ca68b)
  return two.xor(two.shr(16))
}
