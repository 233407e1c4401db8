import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { relativeRms } from '../../test/numerics/expect-close.ts'
import { randomNumbers } from '../../test/numerics/random.ts'
import { type Device, FoveaError, openDevice, type Tensor } from '../device/index.ts'
import { type MatmulOptions, matmul } from './matmul.ts'
import { type RmsNormOptions, rmsNorm } from './rms-norm.ts'

const device: Device = await openDevice('interpret', { interpret: { precision: 'real' } })
const drawn = (seed: number, shape: readonly number[]): Tensor => {
  const size = shape.reduce((a, b) => a * b, 1)
  return device.tensor(Float32Array.from({ length: size }, randomNumbers(seed)), shape)
}
const sizes = fc.record({
  M: fc.integer({ min: 1, max: 70 }),
  N: fc.integer({ min: 1, max: 70 }),
  K: fc.integer({ min: 1, max: 70 }),
  seed: fc.integer(),
})
const property = <T>(arbitrary: fc.Arbitrary<T>, law: (value: T) => Promise<void>) =>
  fc.assert(fc.asyncProperty(arbitrary, law), { numRuns: 15 })

describe('laws of matmul', () => {
  it('(a b)ᵀ = bᵀ aᵀ, by views and by flags', () =>
    property(sizes, async ({ M, N, K, seed }) => {
      const [a, b] = [drawn(seed, [M, K]), drawn(seed + 1, [K, N])]
      const product = matmul(device, { a, b }).transpose(0, 1)
      const byViews = matmul(device, { a: b.transpose(0, 1), b: a.transpose(0, 1) })
      const byFlags = matmul(device, { a: b, b: a, transposeA: true, transposeB: true })
      expect(relativeRms(await byViews.read(), await product.read())).toBeLessThan(1e-6)
      expect(await byFlags.read()).toEqual(await byViews.read())
    }))
  it('tiles change nothing but rounding', () =>
    property(sizes, async ({ M, N, K, seed }) => {
      const [a, b] = [drawn(seed, [M, K]), drawn(seed + 1, [K, N])]
      const expected = await matmul(device, { a, b }).read()
      const tiled = matmul(device, { a, b, tiles: { tileM: 16, tileN: 32, tileK: 16 } })
      expect(relativeRms(await tiled.read(), expected)).toBeLessThan(1e-6)
    }))
  it('views leave nothing behind', () => {
    const [a, b] = [drawn(1, [5, 6]), drawn(2, [7, 6])]
    const before = device.memory.allocated
    matmul(device, { a, b: b.transpose(0, 1) }).dispose()
    rmsNorm(device, { x: a }).dispose()
    expect(device.memory.allocated).toBe(before)
    expect([a.disposed, b.disposed]).toEqual([false, false])
  })
})

describe('laws of rms norm', () => {
  it('scaling a row changes nothing; the mean of squares is 1', () =>
    property(sizes, async ({ M, N, seed }) => {
      const x = drawn(seed, [M, N])
      const scaled = device.tensor((await x.read()).map((v) => v * 4) as Float32Array, [M, N])
      const [y, z] = [await rmsNorm(device, { x, eps: 0 }).read(), await rmsNorm(device, { x: scaled, eps: 0 }).read()]
      expect(relativeRms(z, y)).toBeLessThan(1e-6)
      expect((y as Float32Array).reduce((sum, v) => sum + v * v, 0) / (M * N)).toBeCloseTo(1, 5)
    }))
  it('leading dimensions in any order', async () => {
    const x = drawn(1, [2, 3, 5, 24])
    const y = rmsNorm(device, { x })
    expect(y.shape).toEqual([2, 3, 5, 24])
    // [2, 5, 3, 24] lies like no two dimensions; [5, 3, 24] of one batch does
    const part = x.slice(0, 1, 2).transpose(1, 2)
    const expected = y.slice(0, 1, 2).transpose(1, 2)
    expect(await rmsNorm(device, { x: part }).read()).toEqual(await expected.read())
    expect(() => rmsNorm(device, { x: x.transpose(1, 2) })).toThrow(
      /rmsNorm: leading dimensions .* got f32 \[2, 5, 3, 24\]/,
    )
  })
})

function refusal(call: () => unknown): FoveaError {
  try {
    call()
  } catch (error) {
    expect(error).toBeInstanceOf(FoveaError)
    return error as FoveaError
  }
  throw new Error('nothing was thrown')
}

describe('what matmul refuses', () => {
  const [a, b] = [drawn(1, [4, 6]), drawn(2, [6, 8])]
  it.each<[string, string, Partial<MatmulOptions>]>([
    ['shape', 'other inner sizes', { b: drawn(2, [5, 8]) }],
    ['shape', 'vectors', { a: drawn(1, [6]) }],
    ['shape', 'four dimensions', { a: drawn(1, [1, 1, 4, 6]) }],
    ['shape', 'other batches', { a: drawn(1, [2, 4, 6]), b: drawn(1, [3, 6, 8]) }],
    ['shape', 'a bias of another size', { bias: drawn(1, [4]) }],
    ['shape', 'an output of another size', { output: drawn(1, [8, 4]) }],
    ['shape', 'no contiguous dimension', { a: drawn(1, [6, 4, 3]).transpose(0, 1).transpose(1, 2).slice(2, 0, 3) }],
    ['dtype', 'integers', { a: device.zeros([4, 6], 'i32') }],
    ['dtype', 'an integer output', { outputDType: 'u8' }],
  ])('%s: %s', (code, _, change) => {
    const error = refusal(() => matmul(device, { a, b, ...change }))
    expect(error).toMatchObject({ code, where: 'matmul' })
    expect(error.message).toMatch(/, got a \w+ \[.*b \w+ \[/)
  })
})

describe('what rms norm refuses', () => {
  const x = drawn(1, [4, 6])
  it.each<[string, string, Partial<RmsNormOptions>]>([
    ['shape', 'a weight of another size', { weight: drawn(1, [4]) }],
    ['shape', 'columns that are not contiguous', { x: drawn(1, [4, 6]).transpose(0, 1) }],
    ['shape', 'a scalar', { x: device.zeros([]) }],
    ['dtype', 'integers', { x: device.zeros([4, 6], 'i32') }],
    ['dtype', 'an integer output', { outputDType: 'i8' }],
  ])('%s: %s', (code, _, change) => {
    const error = refusal(() => rmsNorm(device, { x, ...change }))
    expect(error).toMatchObject({ code, where: 'rmsNorm' })
    expect(error.message).toMatch(/got \w+ \[/)
  })
})
