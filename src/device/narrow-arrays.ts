import { fromBfloatBits, fromHalfBits } from '../ir/narrow-float.ts'

type Narrow = 'f16' | 'bf16'

/** The bits of many f32 numbers rounded to a narrow float, ties to even: `toHalfBits` and `toBfloatBits` in bulk. */
export function encodeNarrow(dtype: Narrow, source: Float32Array): Uint16Array<ArrayBuffer> {
  const words = new Uint32Array(source.buffer, source.byteOffset, source.length)
  const bits = new Uint16Array(source.length)
  const encode = dtype === 'f16' ? halfOfWord : bfloatOfWord
  for (let i = 0; i < words.length; i++) bits[i] = encode(words[i] as number)
  return bits
}

/** Bits → number for a tensor of this many elements: a table where that pays. */
export function narrowDecoder(dtype: Narrow, count: number): (bits: number) => number {
  const decode = dtype === 'f16' ? fromHalfBits : fromBfloatBits
  if (count < 65536) return decode
  const table = Float32Array.from({ length: 65536 }, (_, bits) => decode(bits))
  return (bits) => table[bits] as number
}

function halfOfWord(word: number): number {
  const sign = (word >>> 16) & 0x8000
  const exponent = ((word >>> 23) & 255) - 112
  const mantissa = word & 0x7fffff
  if (exponent === 143) return mantissa ? 0x7e00 : sign | 0x7c00
  if (exponent >= 31) return sign | 0x7c00
  if (exponent < -10) return sign
  // below the smallest normal number the leading 1 is stored and the mantissa moves down
  if (exponent <= 0) return sign | shifted(mantissa | 0x800000, 14 - exponent)
  // a mantissa that rounds up to the next power of two carries into the exponent by itself
  return sign | ((exponent << 10) + shifted(mantissa, 13))
}

/** n / 2^shift, rounded half to even */
function shifted(n: number, shift: number): number {
  const whole = n >>> shift
  const rest = n & ((1 << shift) - 1)
  const half = 1 << (shift - 1)
  return whole + (rest > half || (rest === half && (whole & 1) === 1) ? 1 : 0)
}

function bfloatOfWord(word: number): number {
  if ((word & 0x7fffffff) > 0x7f800000) return 0x7fc0
  return ((word + 0x7fff + ((word >>> 16) & 1)) >>> 16) & 0xffff
}
