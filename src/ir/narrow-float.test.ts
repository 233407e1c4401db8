import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { fromBfloatBits, fromHalfBits, roundTo, toBfloatBits, toHalfBits } from './narrow-float.ts'

describe('narrow floats', () => {
  it('every f16 bit pattern survives the round trip', () => {
    for (let bits = 0; bits < 65536; bits++) {
      const value = fromHalfBits(bits)
      if (!Number.isNaN(value)) expect(toHalfBits(value)).toBe(bits)
    }
  })

  it('f16 rounding gives the nearest value, ties to even', () => {
    fc.assert(
      fc.property(fc.double({ min: -65500, max: 65500, noNaN: true }), (x) => {
        const bits = toHalfBits(x)
        const error = Math.abs(fromHalfBits(bits) - x)
        for (const neighbour of [bits - 1, bits + 1]) {
          const other = fromHalfBits(neighbour & 0xffff)
          if (!Number.isFinite(other) || (bits & 0x7fff) === 0) continue
          const distance = Math.abs(other - x)
          expect(error < distance || (error === distance && bits % 2 === 0)).toBe(true)
        }
      }),
    )
    expect(fromHalfBits(toHalfBits(2049))).toBe(2048)
    expect(fromHalfBits(toHalfBits(2051))).toBe(2052)
    expect(roundTo('f16', 65519)).toBe(65504)
    expect(roundTo('f16', 65520)).toBe(Number.POSITIVE_INFINITY)
    expect(toHalfBits(2 ** -25)).toBe(0)
    expect(toHalfBits(2 ** -25 * 1.01)).toBe(1)
  })

  it('bf16 is the upper half of f32, rounded to nearest even', () => {
    for (let bits = 0; bits < 65536; bits++) {
      const value = fromBfloatBits(bits)
      if (!Number.isNaN(value)) expect(toBfloatBits(value)).toBe(bits)
    }
    expect(roundTo('bf16', 1 + 2 ** -8)).toBe(1)
    expect(roundTo('bf16', 1 + 3 * 2 ** -8)).toBe(1 + 2 ** -6)
    expect(roundTo('bf16', Number.NaN)).toBeNaN()
  })
})
