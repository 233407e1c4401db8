import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { devices } from '../../test/numerics/devices.ts'
import { expectClose } from '../../test/numerics/expect-close.ts'
import { randomNumbers } from '../../test/numerics/random.ts'
import { type Device, FoveaError } from '../device/index.ts'
import { roundTo } from '../ir/index.ts'
import { matmulReference } from './matmul.reference.ts'
import { matmul } from './matmul.ts'
import { matmulInParts, matmulParts } from './matmul-in-parts.ts'
import { sumRows, sumRowsPartials } from './sum-rows.ts'

const seed = 11

describe.each(Object.entries(devices))('%s', (kind, open) => {
  let device: Device
  beforeAll(async () => {
    device = await open()
  })
  afterAll(() => device?.dispose())

  const drawn = (random: () => number, size: number, dtype: 'f32' | 'f16') =>
    Float64Array.from({ length: size }, () => roundTo(dtype, random()))
  const tensor = (data: Float64Array, shape: readonly number[], dtype: 'f32' | 'f16' = 'f32') =>
    device.tensor(Float32Array.from(data), shape, dtype)

  // software GPUs compile slowly: one product, in parts
  const products = [
    ['f16', 3],
    ['f32', null],
    ['f32', 4],
  ] as const
  it.each(kind.startsWith('webgpu') ? products.slice(0, 1) : products)(
    'adds dYᵀ · X of %s to a gradient, in %s parts',
    async (dtype, parts) => {
      const [N, O, C] = [66, 41, 70]
      const random = randomNumbers(seed)
      const [dY, x] = [drawn(random, N * O, dtype), drawn(random, N * C, dtype)]
      const before = drawn(random, O * C, 'f32')
      const gradient = tensor(before, [O, C])
      const call = {
        a: tensor(dY, [N, O], dtype),
        b: tensor(x, [N, C], dtype),
        transposeA: true,
        alpha: 0.5,
        accumulate: true,
        output: gradient,
      }
      if (parts) matmulInParts(device, { ...call, partials: device.empty([parts, O, C]) })
      else matmul(device, call)
      const input = { batch: 1, M: O, N: C, K: N, a: dY, b: x, bias: null, transposeA: true, transposeB: false }
      const product = { ...input, alpha: 0.5, activation: null }
      const plus = (y: Float64Array) => y.map((v, i) => v + (before[i] as number))
      const expected = plus(matmulReference(product))
      const naive = plus(matmulReference({ ...product, round: Math.fround })).map(Math.fround)
      expectClose({ name: 'gradient', got: await gradient.read(), expected, naive, dtype: 'f32', seed })
    },
  )

  const sums = [
    [131, 300, 5],
    [1, 5, null],
    [131, 70, null],
    [300, 7, 300],
  ] as const
  it.each(kind.startsWith('webgpu') ? sums.slice(0, 1) : sums)(
    'sums %i rows of %i, in %s groups',
    async (N, D, groups) => {
      const random = randomNumbers(seed)
      const [x, before] = [drawn(random, N * D, 'f16'), drawn(random, D, 'f32')]
      const output = tensor(before, [D])
      const partials = groups && { partials: device.empty([groups, D]) }
      sumRows(device, { x: tensor(x, [N, D], 'f16'), output, accumulate: true, ...partials })
      const totals = (round: (x: number) => number) =>
        before.map((start, d) => {
          let sum = start
          for (let n = 0; n < N; n++) sum = round(sum + (x[n * D + d] as number))
          return sum
        })
      const [expected, naive] = [totals((v) => v), totals(Math.fround)]
      expectClose({ name: 'sums', got: await output.read(), expected, naive, dtype: 'f32', seed })
    },
  )

  it('refuses what does not fit', () => {
    const [a, b] = [device.empty([8, 4]), device.empty([8, 6])]
    const call = (change: object) => () => matmul(device, { a, b, transposeA: true, ...change })
    const refused = (change: object, code: string) =>
      expect(call(change)).toThrow(expect.objectContaining({ code, where: 'matmul' }))
    expect(call({ accumulate: true })).toThrow(FoveaError)
    refused({ accumulate: true, output: device.empty([4, 6], 'f16') }, 'dtype')
    const inParts = (shape: number[]) => () =>
      matmulInParts(device, { a, b, transposeA: true, output: device.empty([4, 6]), partials: device.empty(shape) })
    expect(inParts([9, 4, 6])).toThrow(/an inner size of 8 cannot be cut into 9 parts/)
    expect(inParts([2, 4, 5])).toThrow(expect.objectContaining({ code: 'shape', where: 'matmulInParts' }))
  })
})

it('a good number of parts', () => {
  const sizes = { M: 384, N: 1024, K: 65_536 }
  expect(matmulParts({ kind: 'webgpu', ...sizes })).toBe(8)
  expect(matmulParts({ kind: 'wasm', ...sizes })).toBe(1)
  expect(matmulParts({ kind: 'wasm', M: 96, N: 64, K: 128_000 })).toBe(8)
  expect(matmulParts({ kind: 'webgpu', ...sizes, K: 1000 })).toBe(1)

  expect(
    [
      [1, 5],
      [65, 3],
      [1e6, 384],
    ].map(sumRowsPartials),
  ).toEqual([
    [1, 5],
    [3, 3],
    [128, 384],
  ])
})
