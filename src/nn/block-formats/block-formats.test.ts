import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { toBfloatBits, toHalfBits } from '../../tile/index.ts'
import type { WeightDType } from '../weight-data.ts'
import { weightBlock } from '../weight-data.ts'
import { dequantizeRows, quantizeMatrix, writtenDTypes } from './matrix-values.ts'
import { encodeBfloats, encodeHalves } from './narrow-floats.ts'

const floats = ['f32', 'f16', 'bf16'] as const
const quantised = writtenDTypes.filter((dtype) => weightBlock[dtype].elements > 1)

/** Largest error of an element relative to the largest element of its block: half a step, and the rounding of the scales. */
const worstError: Readonly<Partial<Record<WeightDType, number>>> = {
  f32: 0,
  f16: 2 ** -11,
  bf16: 2 ** -8,
  q8_0: 0.5 / 127 + 2 ** -11,
  // 15 of 16 values lie within half a step of 1/8; what is opposite the largest is up to a step away
  q4_0: 1 / 8 + 2 ** -10,
  // half of a range of up to 2 in 15 or 31 steps
  q4_1: 1 / 15 + 2 ** -9,
  q5_0: 1 / 16 + 2 ** -10,
  q5_1: 1 / 31 + 2 ** -9,
  // a range of up to 2 in 15 steps, and mins and scales of 6 bits
  q4_k: 2 / 15,
  q5_k: 2 / 31 + 1 / 63,
  q6_k: 1 / 32 + 1 / 128,
  // a quarter of the largest lies between 4 and 6, or above 6
  mxfp4: 1 / 4,
}

const blockOf = (dtype: WeightDType, values: ArrayLike<number>) =>
  quantizeMatrix(Float32Array.from(values), 1, values.length, dtype)

describe('layouts', () => {
  it('reads a Q8_0 block written by hand', () => {
    const bytes = new Uint8Array(34)
    bytes.set([0x00, 0x38, 0, 1, 127, 128, 255]) // d = 0.5; 0 1 127 −128 −1
    const values = dequantizeRows({ dtype: 'q8_0', rows: 1, cols: 32, bytes })
    expect([...values.subarray(0, 6)]).toEqual([0, 0.5, 63.5, -64, -0.5, 0])
  })

  it('reads all 16 nibbles of a Q4_0 block, low halves first', () => {
    const bytes = new Uint8Array(18)
    bytes.set([0x00, 0xbc]) // d = −1
    for (let i = 0; i < 16; i++) bytes[2 + i] = i | ((15 - i) << 4)
    const values = dequantizeRows({ dtype: 'q4_0', rows: 1, cols: 32, bytes })
    for (let i = 0; i < 16; i++) {
      expect(values[i]).toBeCloseTo(8 - i, 12)
      expect(values[16 + i]).toBeCloseTo(i - 7, 12)
    }
  })

  it('reads scales and mins of a Q4_K block from where their bits lie', () => {
    const bytes = new Uint8Array(144)
    bytes.set([0x00, 0x3c, 0x00, 0x40]) // d = 1, dmin = 2
    // groups 0…3: scale and min in the low 6 bits; 4…7: low 4 bits in bytes 8…11, high 2 bits atop bytes 0…3 and 4…7
    const scales = [1, 2, 62, 63, 16, 33, 50, 63]
    const mins = [0, 5, 63, 7, 32, 17, 63, 48]
    for (let g = 0; g < 4; g++) {
      bytes[4 + g] = scales[g]! | ((scales[g + 4]! >> 4) << 6)
      bytes[8 + g] = mins[g]! | ((mins[g + 4]! >> 4) << 6)
      bytes[12 + g] = (scales[g + 4]! & 15) | ((mins[g + 4]! & 15) << 4)
    }
    // element e of a group has q = (e + group) mod 16
    for (let pair = 0; pair < 4; pair++)
      for (let e = 0; e < 32; e++) bytes[16 + pair * 32 + e] = ((e + 2 * pair) & 15) | (((e + 2 * pair + 1) & 15) << 4)
    const values = dequantizeRows({ dtype: 'q4_k', rows: 1, cols: 256, bytes })
    for (let i = 0; i < 256; i++) {
      const group = i >> 5
      expect(values[i]).toBe(scales[group]! * (((i & 31) + group) & 15) - 2 * mins[group]!)
    }
  })

  it('reads a Q6_K block, four elements from each byte of high bits', () => {
    const bytes = new Uint8Array(210)
    const quant = (i: number) => (i * 7) & 63
    for (let half = 0; half < 2; half++)
      for (let l = 0; l < 32; l++) {
        const [a, b, c, d] = [0, 32, 64, 96].map((by) => quant(half * 128 + l + by)) as [number, number, number, number]
        bytes[half * 64 + l] = (a & 15) | ((c & 15) << 4)
        bytes[half * 64 + l + 32] = (b & 15) | ((d & 15) << 4)
        bytes[128 + half * 32 + l] = (a >> 4) | ((b >> 4) << 2) | ((c >> 4) << 4) | ((d >> 4) << 6)
      }
    const scale = (group: number) => (group % 2 ? -group : group + 100)
    for (let g = 0; g < 16; g++) bytes[192 + g] = scale(g)
    bytes.set([0x00, 0x34], 208) // d = 0.25
    const values = dequantizeRows({ dtype: 'q6_k', rows: 1, cols: 256, bytes })
    // adding 0 makes −0 the 0 that it equals
    for (let i = 0; i < 256; i++) expect(values[i]! + 0).toBe(0.25 * scale(i >> 4) * (quant(i) - 32) + 0)
  })
})

describe('quantisers', () => {
  it('rounds to f16 and bf16 as one number at a time is rounded', () => {
    const words = Uint32Array.from({ length: 200_000 }, (_, i) => Math.imul(i, 0x9e3779b1))
    // ties and the ends of the range: around every power of two that f16 holds, and around infinity
    for (let i = 0; i < 60_000; i++) words[i] = ((100 + (i % 48)) << 23) | ((i >> 3) << 12) | (i & 7 ? i & 1 : 0)
    const values = new Float32Array(words.buffer)
    for (const [encode, one] of [
      [encodeHalves, toHalfBits],
      [encodeBfloats, toBfloatBits],
    ] as const) {
      const bits = new Uint16Array(encode(values).buffer)
      const wrong = [...values.keys()].filter((i) => bits[i] !== one(values[i]!))
      expect(wrong.map((i) => values[i])).toEqual([])
    }
  })

  it('writes the Q8_0 block of the reference, halves away from zero', () => {
    // amax 127: d = 1, f16 0x3c00; 2.5 → 3, −2.5 → −3, 0.49 → 0
    const { bytes } = blockOf(
      'q8_0',
      Array.from({ length: 32 }, (_, i) => [127, 2.5, -2.5, 0.49][i] ?? 0),
    )
    expect([...bytes.subarray(0, 6)]).toEqual([0x00, 0x3c, 127, 3, 253, 0])
  })

  it('writes the Q4_0 block of the reference, scaled by what is largest with its sign', () => {
    // largest is −8: d = 1; −8 → 0, 8 → 16, kept to 15, 0 → 8, 0.5 → 9 (⌊9⌋), −0.5 → 8
    const values = Float32Array.from({ length: 32 }, (_, i) => [-8, 8, 0, 0.5, -0.5][i] ?? 0)
    const { bytes } = blockOf('q4_0', values)
    expect([...bytes.subarray(0, 2)]).toEqual([0x00, 0x3c])
    expect([...bytes.subarray(2, 7)].map((pair) => pair & 15)).toEqual([0, 15, 8, 9, 8])
    expect(bytes[2]! >> 4).toBe(8)
    const { bytes: mirrored } = blockOf(
      'q4_0',
      values.map((v) => (v === 8 ? 7 : -v)),
    )
    expect([...mirrored.subarray(0, 2)]).toEqual([0x00, 0xbc])
  })

  it('keeps an error below a step of the block, at any scale that f16 holds', () => {
    for (const dtype of [...floats, ...quantised]) {
      const { elements } = weightBlock[dtype]
      const value = fc.double({ min: -1, max: 1, noNaN: true })
      const exponent = fc.integer({ min: -4, max: 12 })
      fc.assert(
        fc.property(fc.array(value, { minLength: elements, maxLength: elements }), exponent, (raw, power) => {
          const values = Float32Array.from(raw, (v) => v * 2 ** power)
          const back = dequantizeRows(blockOf(dtype, values))
          const largest = values.reduce((most, v) => Math.max(most, Math.abs(v)), 0)
          // beyond what the smallest f16 scale resolves, nothing is promised
          const floor = 2 ** -24 * 64
          values.forEach((v, i) => {
            expect(Math.abs(back[i]! - v)).toBeLessThanOrEqual(worstError[dtype]! * largest * 1.001 + floor)
          })
        }),
        { numRuns: 30 },
      )
    }
  })

  it('gives back what it stores exactly: a second quantisation changes no value', () => {
    for (const dtype of ['f32', 'f16', 'bf16', 'q8_0'] as const) {
      const values = Float32Array.from({ length: 256 }, (_, i) => Math.sin(i * i) * 2 ** ((i % 7) - 3))
      const once = dequantizeRows(blockOf(dtype, values))
      expect(dequantizeRows(blockOf(dtype, once))).toEqual(once)
    }
  })

  it('has an error of the size that the format is known for, on normal numbers', () => {
    // Box–Muller over a Weyl sequence: the same numbers everywhere
    const uniform = (i: number) => ((i + 1) * 0.754877666246693) % 1
    const normal = Float32Array.from(
      { length: 4096 },
      (_, i) => Math.sqrt(-2 * Math.log(uniform(2 * i))) * Math.cos(2 * Math.PI * (((i + 1) * 0.569840290998053) % 1)),
    )
    const rms: Readonly<Partial<Record<WeightDType, number>>> = {
      q8_0: 0.0065,
      q4_0: 0.1,
      q4_1: 0.09,
      q5_0: 0.05,
      q5_1: 0.045,
      q4_k: 0.08,
      q5_k: 0.04,
      q6_k: 0.02,
      mxfp4: 0.15,
    }
    for (const dtype of quantised) {
      const back = dequantizeRows(blockOf(dtype, normal))
      const power = normal.reduce((sum, v) => sum + v * v, 0)
      const error = normal.reduce((sum, v, i) => sum + (v - back[i]!) ** 2, 0)
      expect(Math.sqrt(error / power)).toBeLessThan(rms[dtype]!)
      expect(Math.sqrt(error / power)).toBeGreaterThan(rms[dtype]! / 4)
    }
  })

  it('stores zeros, constants and numbers too small for a scale without NaN', () => {
    for (const dtype of quantised)
      for (const constant of [0, -0, 1, -1, 1e-8, -1e-30, 1e-44, 60000]) {
        const back = dequantizeRows(blockOf(dtype, new Float32Array(256).fill(constant)))
        for (const v of back)
          expect(Math.abs(v - constant)).toBeLessThanOrEqual(
            Math.abs(constant) * (dtype === 'mxfp4' ? 0.25 : 0.02) + 1e-6,
          )
      }
  })

  it('refuses what cannot be stored, naming the element', () => {
    const values = new Float32Array(512)
    values[300] = Number.NaN
    expect(() => quantizeMatrix(values, 2, 256, 'q8_0')).toThrow('NaN in row 1, column 44 cannot be stored as q8_0')
    values[300] = 70000
    expect(() => quantizeMatrix(values, 2, 256, 'f16')).toThrow('70000 in row 1, column 44 cannot be stored as f16')
    expect(() => quantizeMatrix(values, 2, 256, 'q4_0')).not.toThrow()
    expect(() => quantizeMatrix(values, 4, 128, 'q4_k')).toThrow('a multiple of 256')
    expect(() => quantizeMatrix(values, 2, 256, 'q3_k')).toThrow('q3_k is only read; written are f32, f16, bf16, q8_0')
    expect(() => quantizeMatrix(values, 3, 256, 'q8_0')).toThrow('[3, 256] has 768 values, got 512')
    expect(() => dequantizeRows({ dtype: 'q8_0', rows: 2, cols: 32, bytes: new Uint8Array(67) })).toThrow(
      'takes 68 bytes',
    )
  })
})
