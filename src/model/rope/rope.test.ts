import { describe, expect, it } from 'vitest'
import { defaultRope } from './default-rope.ts'
import { dynamicRope } from './dynamic-rope.ts'
import { linearRope } from './linear-rope.ts'
import { llama3Rope } from './llama3-rope.ts'
import { longRope } from './long-rope.ts'
import { proportionalRope } from './proportional-rope.ts'
import { yarnRope } from './yarn-rope.ts'

// Llama's heads: 64 pairs over base 10,000, trained for 2,048 positions
const base = { rotaryDim: 128, theta: 10_000 }
const relative = (got: readonly number[], wanted: readonly number[], within: number) => {
  expect(got).toHaveLength(wanted.length)
  for (const [i, value] of wanted.entries())
    expect(Math.abs((got[i] ?? 0) / value - 1), `pair ${i}`).toBeLessThan(within)
}
/** θ_i = θ^(−2(i−1)/d), i from 1 (arXiv 2104.09864, equation 15), written with exponentials */
const thetas = (dim: number, theta: number) =>
  Array.from({ length: dim / 2 }, (_, i) => Math.exp((-2 * i * Math.log(theta)) / dim))

describe('rotary frequencies', () => {
  it('default', () => {
    const { inverseFrequencies, attentionFactor } = defaultRope(base)
    relative(inverseFrequencies, thetas(128, 10_000), 1e-13)
    // as transformers prints them
    relative(inverseFrequencies.slice(0, 4), [1, 0.86596, 0.74989, 0.64938], 1e-5)
    relative(inverseFrequencies.slice(-2), [1.3335e-4, 1.1548e-4], 1e-4)
    expect(attentionFactor).toBe(1)
    relative(defaultRope({ rotaryDim: 4, theta: 10_000 }).inverseFrequencies, [1, 0.01], 1e-14)
  })

  it('linear: position m is m / factor', () => {
    const { inverseFrequencies } = linearRope(base, { factor: 8 })
    relative(
      inverseFrequencies,
      thetas(128, 10_000).map((f) => f / 8),
      1e-13,
    )
  })

  it('dynamic: unchanged up to the original length, then the slowest pair is interpolated and the fastest is not', () => {
    const scaling = { factor: 2, originalMaxPositions: 2048 }
    for (const contextLength of [1, 2048])
      relative(dynamicRope(base, { ...scaling, contextLength }).inverseFrequencies, thetas(128, 10_000), 1e-13)
    const { inverseFrequencies } = dynamicRope(base, { ...scaling, contextLength: 8192 })
    // 2 · 4 − 1 = 7: base · 7^(128/126), so the last pair is slower by exactly 7
    expect(inverseFrequencies[0]).toBe(1)
    relative(inverseFrequencies.slice(-1), [(thetas(128, 10_000)[63] ?? 0) / 7], 1e-12)
    relative(inverseFrequencies, thetas(128, 10_000 * 7 ** (64 / 63)), 1e-12)
  })

  it('llama3', () => {
    const scaling = { factor: 10, lowFreqFactor: 1, highFreqFactor: 4, originalMaxPositions: 2048 }
    const { inverseFrequencies, attentionFactor } = llama3Rope(base, scaling)
    // values of transformers 4.45: kept, mixed, divided by 10
    const printed = [1.3335e-2, 1.073e-2, 7.7785e-3, 5.6009e-3, 3.9991e-3, 2.8248e-3, 1.9675e-3, 1.3449e-3, 8.9549e-4]
    relative(inverseFrequencies.slice(30, 39), printed, 1e-4)
    relative(inverseFrequencies.slice(39, 42), [5.7363e-4, 3.4539e-4, 2.7384e-4], 1e-4)
    relative(inverseFrequencies.slice(-1), [1.1548e-5], 1e-4)
    relative(inverseFrequencies.slice(0, 31), thetas(128, 10_000).slice(0, 31), 1e-13)
    expect(attentionFactor).toBe(1)
  })

  it('yarn', () => {
    const scaling = {
      factor: 10,
      originalMaxPositions: 2048,
      betaFast: 32,
      betaSlow: 1,
      truncate: true,
      attentionFactor: null,
      mscale: null,
      mscaleAllDim: null,
    }
    const { inverseFrequencies, attentionFactor } = yarnRope(base, scaling)
    const plain = thetas(128, 10_000)
    // values of transformers 4.45
    relative(inverseFrequencies.slice(17, 22), [8.3479e-2, 6.959e-2, 5.7925e-2, 4.8136e-2, 3.9931e-2], 2e-5)
    relative(inverseFrequencies.slice(0, 17), plain.slice(0, 17), 1e-13)
    relative(
      inverseFrequencies.slice(41),
      plain.slice(41).map((f) => f / 10),
      1e-13,
    )
    // equation 22: √t⁻¹ = 0.1 ln(s) + 1
    expect(attentionFactor).toBeCloseTo(1 + Math.log(10) / 10, 14)
    expect(yarnRope(base, { ...scaling, attentionFactor: 0.5 }).attentionFactor).toBe(0.5)
    expect(yarnRope(base, { ...scaling, factor: 0.5 }).attentionFactor).toBe(1)
    const deepseek = yarnRope(base, { ...scaling, mscale: 0.75, mscaleAllDim: 1 }).attentionFactor
    expect(deepseek).toBeCloseTo((0.075 * Math.log(10) + 1) / (0.1 * Math.log(10) + 1), 14)

    // without rounding, the pair that turns 32 times over the original length begins the ramp exactly
    const exact = yarnRope(base, { ...scaling, truncate: false }).inverseFrequencies
    const turns = plain.map((f) => (2048 * f) / (2 * Math.PI))
    const unchanged = turns.filter((t) => t >= 32).length
    relative(exact.slice(0, unchanged), plain.slice(0, unchanged), 1e-13)
    expect(exact[unchanged] ?? 1).toBeLessThan((plain[unchanged] ?? 0) * (1 - 1e-6))
  })

  it('proportional: the first pairs turn as in a head that turns whole, the others stand', () => {
    const wanted = (headDim: number, turning: number, factor: number) =>
      thetas(headDim, 1e6).map((f, pair) => (pair < turning ? f / factor : 0))
    for (const [headDim, partial, factor, turning] of [
      [16, 0.25, 1, 2],
      [512, 0.25, 8, 64],
      [12, 0.3, 2, 1],
      [8, 1, 1, 4],
      [8, 0.1, 1, 0],
    ] as const) {
      const { inverseFrequencies, attentionFactor } = proportionalRope({ headDim, theta: 1e6, partial, factor })
      expect(attentionFactor).toBe(1)
      expect(inverseFrequencies.filter((f) => f !== 0)).toHaveLength(turning)
      for (const [i, f] of wanted(headDim, turning, factor).entries()) expect(inverseFrequencies[i]).toBeCloseTo(f, 14)
    }
  })

  it('yarn with a ramp of no length', () => {
    const scaling = {
      factor: 4,
      originalMaxPositions: 6,
      betaFast: 1,
      betaSlow: 1,
      truncate: true,
      attentionFactor: null,
      mscale: null,
      mscaleAllDim: null,
    }
    for (const frequency of yarnRope(base, scaling).inverseFrequencies) expect(Number.isFinite(frequency)).toBe(true)
  })

  it('longrope: the set of factors follows the context, the attention factor the growth', () => {
    const small = { rotaryDim: 8, theta: 10_000 }
    const scaling = {
      shortFactor: [1, 1.5, 2, 2.5],
      longFactor: [1, 4, 16, 64],
      originalMaxPositions: 4096,
      factor: 32,
      attentionFactor: null,
    }
    const short = longRope(small, { ...scaling, contextLength: 4096 })
    const long = longRope(small, { ...scaling, contextLength: 4097 })
    relative(short.inverseFrequencies, [1, 0.1 / 1.5, 0.01 / 2, 0.001 / 2.5], 1e-13)
    relative(long.inverseFrequencies, [1, 0.1 / 4, 0.01 / 16, 0.001 / 64], 1e-13)
    // √(1 + 5/12), because 32 = 2⁵ and 4096 = 2¹²
    expect(short.attentionFactor).toBeCloseTo(Math.sqrt(17 / 12), 14)
    expect(long.attentionFactor).toBe(short.attentionFactor)
    expect(longRope(small, { ...scaling, contextLength: 1, factor: 1 }).attentionFactor).toBe(1)
    expect(longRope(small, { ...scaling, contextLength: 1, attentionFactor: 1.25 }).attentionFactor).toBe(1.25)
  })
})
