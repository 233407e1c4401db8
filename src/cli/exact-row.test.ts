import { describe, expect, it } from 'vitest'
import { flashReference } from '../attention/softmax/flash.reference.ts'
import { exact, exactRow, naiveF32, relativeError } from './exact-row.ts'
import { randomNormal } from './random-normal.ts'

const [tokens, numHeads, headDim] = [37, 3, 20]
const count = tokens * numHeads * headDim
const [query, key, value] = [1, 2, 3].map((seed) => randomNormal(count, seed)) as [
  Float32Array,
  Float32Array,
  Float32Array,
]

function rows(rounding = exact): number[] {
  const output: number[] = []
  for (let t = 0; t < tokens; t++)
    for (let head = 0; head < numHeads; head++) {
      const at = (s: number) => (s * numHeads + head) * headDim
      const row = { query: query.subarray(at(t), at(t) + headDim), keys: key, keyAt: at, values: value, valueAt: at }
      const score = (x: number, s: number) => x + 0.1 * (s - t)
      const window = { from: Math.max(0, t - 9), to: t + 1 }
      output.push(...exactRow({ ...row, valueDim: headDim, ...window, scale: 1 / Math.sqrt(headDim), score }, rounding))
    }
  return output
}

describe('exactRow', () => {
  it('agrees with the reference of flash, which it shares nothing with', () => {
    const { output } = flashReference({
      batch: 1,
      queries: tokens,
      keys: tokens,
      numHeads,
      numKvHeads: numHeads,
      headDim,
      valueDim: headDim,
      query,
      key,
      value,
      allowed: ({ q, k }) => k <= q && q - k <= 9,
      modify: (x, { q, k }) => x + 0.1 * (k - q),
    })
    expect(relativeError(rows(), output)).toBeLessThan(1e-14)
  })

  it('rounds as a naive f32 implementation does', () => {
    const error = relativeError(rows(naiveF32), rows())
    expect(error).toBeGreaterThan(1e-8)
    expect(error).toBeLessThan(1e-6)
  })
})

describe('relativeError', () => {
  it('lets neither a NaN nor a missing element pass', () => {
    expect(relativeError([1, Number.NaN], [1, 2])).toBeNaN()
    expect(relativeError([1], [1, 2])).toBeNaN()
    expect(relativeError([3, 4.5], [3, 4])).toBeCloseTo(0.1, 12)
  })
})

describe('randomNormal', () => {
  it('has mean 0 and variance 1, and the same numbers for the same seed', () => {
    const drawn = randomNormal(100_001, 7)
    const mean = drawn.reduce((sum, x) => sum + x, 0) / drawn.length
    const variance = drawn.reduce((sum, x) => sum + (x - mean) ** 2, 0) / drawn.length
    expect(Math.abs(mean)).toBeLessThan(0.02)
    expect(Math.abs(variance - 1)).toBeLessThan(0.03)
    expect(randomNormal(11, 7)).toEqual(drawn.slice(0, 11))
    expect(randomNormal(10, 8)).not.toEqual(randomNormal(10, 7))
  })
})
