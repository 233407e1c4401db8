// Floats of 8 bits (Micikevicius et al. 2022, arXiv 2209.05433): E4M3 has 4 bits of exponent, 3 of mantissa and no infinities,
// E5M2 is the upper byte of an f16. y = scale · float: files keep scales in tensors of their own, of a matrix, of its rows or
// of tiles of it; a block is put together where they are read: the f32 scale, then the floats.
import type { Value } from '../../tile/index.ts'
import { type BlockFormat, blockFormat, type FloatCode } from './block-format.ts'

/** Bytes of a block before its floats: the scale. */
export const float8Header = 4

/** Numbers of 1 sign, 7 − mantissa exponent and `mantissa` bits; those that stand for no finite number are never asked for. */
function floatCode(mantissa: number): FloatCode {
  const bias = 2 ** (6 - mantissa) - 1
  const smallest = 2 ** (1 - bias - mantissa)
  return {
    read(byte) {
      const [exponent, fraction] = [(byte & 127) >> mantissa, byte & (2 ** mantissa - 1)]
      const size = (exponent === 0 ? fraction : 2 ** mantissa + fraction) * 2 ** Math.max(0, exponent - 1) * smallest
      return byte & 128 ? -size : size
    },
    decode(byte: Value) {
      const size = byte.and(127)
      // below the smallest normal number the bits are a whole number
      const normal = size
        .shl(23 - mantissa)
        .add((127 - bias) * 2 ** 23)
        .fromBits()
      const magnitude = size.ge(2 ** mantissa).select(normal, size.cast('f32').mul(smallest))
      return byte.ge(128).select(magnitude.neg(), magnitude)
    },
  }
}

function float8(mantissa: number, elements: number): BlockFormat {
  return blockFormat({
    elements,
    bytes: float8Header + elements,
    ggml: null,
    quants: { fields: [{ bits: 8, at: (i) => 8 * (float8Header + i) }] },
    float: floatCode(mantissa),
    group: elements,
    factor: { at: 0, as: 'f32' },
  })
}

export const [f8_e4m3_32, f8_e4m3_128] = [float8(3, 32), float8(3, 128)]
export const [f8_e5m2_32, f8_e5m2_128] = [float8(2, 32), float8(2, 128)]
