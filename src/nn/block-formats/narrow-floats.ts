/** f32 values as f16, little-endian, rounded to nearest even: `toHalfBits` in bulk. */
export function encodeHalves(values: Float32Array): Uint8Array {
  return encode(values, (word) => {
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
  })
}

/** f32 values as bf16, little-endian, rounded to nearest even: `toBfloatBits` in bulk. */
export function encodeBfloats(values: Float32Array): Uint8Array {
  return encode(values, (word) => {
    if ((word & 0x7fffffff) > 0x7f800000) return 0x7fc0
    return ((word + 0x7fff + ((word >>> 16) & 1)) >>> 16) & 0xffff
  })
}

function encode(values: Float32Array, bitsOf: (word: number) => number): Uint8Array {
  const words = new Uint32Array(values.buffer, values.byteOffset, values.length)
  const bits = new Uint16Array(values.length)
  for (let i = 0; i < words.length; i++) bits[i] = bitsOf(words[i]!)
  return new Uint8Array(bits.buffer)
}

/** n / 2^shift, rounded half to even */
function shifted(n: number, shift: number): number {
  const whole = n >>> shift
  const rest = n & ((1 << shift) - 1)
  const half = 1 << (shift - 1)
  return whole + (rest > half || (rest === half && (whole & 1) === 1) ? 1 : 0)
}
