const word = new Uint32Array(1)
const real = new Float32Array(word.buffer)

/** bits of the f16 nearest to x (ties to even); overflow gives infinity, NaN stays NaN */
export function toHalfBits(x: number): number {
  if (Number.isNaN(x)) return 0x7e00
  const sign = x < 0 || Object.is(x, -0) ? 0x8000 : 0
  const a = Math.abs(x)
  if (a >= 65520) return sign | 0x7c00
  if (a < 2 ** -24 / 2) return sign
  const exponent = Math.max(Math.floor(Math.log2(a)), -14)
  // Math.log2 may round up at a power of two
  const e = a < 2 ** exponent && exponent > -14 ? exponent - 1 : exponent
  const steps = a / 2 ** (e - 10)
  const floor = Math.floor(steps)
  const rest = steps - floor
  const mantissa = floor + (rest > 0.5 || (rest === 0.5 && floor % 2 === 1) ? 1 : 0)
  // a mantissa of 2048 carries into the exponent by itself; below 1024 the number is subnormal
  return sign | (mantissa + ((e + 14) << 10))
}

/** the value of f16 bits */
export function fromHalfBits(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1
  const exponent = (bits >> 10) & 31
  const mantissa = bits & 1023
  if (exponent === 31) return mantissa ? Number.NaN : sign * Number.POSITIVE_INFINITY
  return exponent === 0 ? sign * mantissa * 2 ** -24 : sign * (1024 + mantissa) * 2 ** (exponent - 25)
}

/** bits of the bf16 nearest to x (ties to even) */
export function toBfloatBits(x: number): number {
  if (Number.isNaN(x)) return 0x7fc0
  real[0] = x
  const bits = word[0] as number
  return ((bits + 0x7fff + ((bits >>> 16) & 1)) >>> 16) & 0xffff
}

/** the value of bf16 bits */
export function fromBfloatBits(bits: number): number {
  word[0] = bits << 16
  return real[0] as number
}

/** x rounded to what a float dtype can hold */
export function roundTo(dtype: 'f32' | 'f16' | 'bf16', x: number): number {
  if (dtype === 'f32') return Math.fround(x)
  return dtype === 'f16' ? fromHalfBits(toHalfBits(x)) : fromBfloatBits(toBfloatBits(x))
}
