import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { devices } from '../../test/numerics/devices.ts'
import { expectClose, relativeRms } from '../../test/numerics/expect-close.ts'
import { guardedOutput } from '../../test/numerics/guarded-output.ts'
import { randomNumbers } from '../../test/numerics/random.ts'
import type { Device } from '../device/index.ts'
import { roundTo } from '../ir/index.ts'
import { layerNormReference } from './layer-norm.reference.ts'
import { layerNormBackward, layerNormBackwardScratch } from './layer-norm-backward.ts'
import { normBackwardReference } from './norm-backward.reference.ts'
import { rmsNormReference } from './rms-norm.reference.ts'
import { rmsNormBackward, rmsNormBackwardScratch } from './rms-norm-backward.ts'

const seed = 13
const drawn = (random: () => number, size: number, dtype: 'f32' | 'f16' = 'f32') =>
  Float64Array.from({ length: size }, () => roundTo(dtype, random()))

describe.each([true, false])('the reference, centred: %s', (centred) => {
  it('gradients are those of finite differences', () => {
    const random = randomNumbers(seed)
    const [N, D, eps, offset] = [3, 7, 1e-3, 1]
    const input = { x: drawn(random, N * D), weight: drawn(random, D), bias: drawn(random, D) }
    const dOutput = drawn(random, N * D)
    const loss = (change: Partial<typeof input>) => {
      const given = { N, D, eps, offset, ...input, ...change }
      const y = centred ? layerNormReference(given) : rmsNormReference(given)
      return y.reduce((sum, v, i) => sum + v * (dOutput[i] as number), 0)
    }
    const found = normBackwardReference({ N, D, eps, offset, ...input, dOutput, centred })
    for (const [name, gradient] of [
      ['x', found.dX],
      ['weight', found.dWeight],
      ...(centred ? [['bias', found.dBias] as const] : []),
    ] as const) {
      const moved = (i: number, by: number) => ({ [name]: input[name].with(i, (input[name][i] as number) + by) })
      const differences = gradient.map((_, i) => (loss(moved(i, 1e-5)) - loss(moved(i, -1e-5))) / 2e-5)
      expect(relativeRms(differences, gradient)).toBeLessThan(1e-8)
    }
  })
})

interface Case {
  readonly shape: readonly number[]
  readonly dtype?: 'f32' | 'f16'
  /** heads of a wider row */
  readonly padding?: number
  readonly weight?: boolean
  readonly offset?: number
  readonly accumulateX?: boolean
}

const cases: Readonly<Record<string, Case>> = {
  'odd rows': { shape: [67, 41], offset: 1 },
  'heads in a wider row, halves': { shape: [21, 3, 16], padding: 40, dtype: 'f16' },
  'added to a residual stream': { shape: [9, 300], accumulateX: true },
  'no weight': { shape: [5, 8], weight: false },
}

describe.each(Object.entries(devices))('%s', (kind, open) => {
  let device: Device
  beforeAll(async () => {
    device = await open()
  })
  afterAll(() => device?.dispose())

  describe.each([true, false])('centred: %s', (centred) => {
    // on software GPUs the two normalisations share the cases
    const some = Object.keys(cases).filter((_, i) => !kind.startsWith('webgpu') || i % 2 === (centred ? 0 : 1))
    it.each(some)('%s', async (name) => {
      const {
        shape,
        dtype = 'f32',
        padding = 0,
        weight: weighted = true,
        offset = 0,
        accumulateX = false,
      } = cases[name] as Case
      const random = randomNumbers(seed)
      const D = shape.at(-1) as number
      const N = shape.slice(0, -1).reduce((a, b) => a * b, 1)
      const inner = shape.slice(1).reduce((a, b) => a * b, 1)
      const [x, dOutput, before] = [
        drawn(random, N * D, dtype),
        drawn(random, N * D, dtype),
        drawn(random, N * D, dtype),
      ]
      const weight = weighted ? drawn(random, D, dtype) : null
      const [beforeWeight, beforeBias] = [drawn(random, D), drawn(random, D)]
      const tensor = (data: Float64Array, to: readonly number[], as: 'f32' | 'f16' = 'f32') =>
        device.tensor(Float32Array.from(data), to, as)
      const strides = shape.map((_, dim) =>
        dim === 0 ? inner + padding : shape.slice(dim + 1).reduce((a, b) => a * b, 1),
      )
      const wide = device.zeros([shape[0] as number, inner + padding], dtype).view({ shape, strides, offset: 0 })
      wide.write(Float32Array.from(x))
      const guarded = guardedOutput(device, shape, dtype)
      const dX = accumulateX ? tensor(before, shape, dtype) : guarded.tensor
      const [dWeight, dBias] = [tensor(beforeWeight, [D]), tensor(beforeBias, [D])]
      const scratch = device.empty(centred ? layerNormBackwardScratch(shape) : rmsNormBackwardScratch(shape))
      const options = {
        x: wide,
        ...(weight && { weight: tensor(weight, [D], dtype), dWeight }),
        eps: 1e-3,
        offset,
        dOutput: tensor(dOutput, shape, dtype),
        dX,
        accumulateX,
        scratch,
      }
      if (centred) layerNormBackward(device, { ...options, dBias })
      else rmsNormBackward(device, options)
      const reference = (round: (v: number) => number) => {
        const found = normBackwardReference({ N, D, x, dOutput, weight, eps: 1e-3, offset, centred, round })
        const plus = (a: Float64Array, b: Float64Array) => a.map((v, i) => round(v + (b[i] as number)))
        return {
          dX: accumulateX ? plus(found.dX, before) : found.dX,
          ...(weight && { dWeight: plus(found.dWeight, beforeWeight) }),
          ...(centred && { dBias: plus(found.dBias, beforeBias) }),
        }
      }
      const got: Record<string, ArrayLike<number>> = {
        dX: accumulateX ? await dX.read() : await guarded.read(),
        dWeight: await dWeight.read(),
        dBias: await dBias.read(),
      }
      const [expected, naive] = [reference((v) => v), reference((v) => roundTo(dtype, v))]
      for (const part of Object.keys(expected) as (keyof typeof expected)[])
        expectClose({
          name: part,
          got: got[part] as Float32Array,
          expected: expected[part] as Float64Array,
          naive: naive[part] as Float64Array,
          dtype,
          seed,
        })
    })
  })

  it('refuses what does not fit', () => {
    const x = device.empty([4, 6])
    const call = { x, dOutput: device.empty([4, 6]), dX: device.empty([4, 6]), weight: device.empty([6]) }
    const refused = (change: object, code: string) =>
      expect(() => rmsNormBackward(device, { ...call, ...change })).toThrow(
        expect.objectContaining({ code, where: 'rmsNormBackward' }),
      )
    refused({ dOutput: device.empty([6, 4]) }, 'shape')
    refused({ dWeight: device.empty([6]) }, 'shape')
    refused({ dWeight: device.empty([6], 'f16'), scratch: device.empty([1, 1, 6]) }, 'dtype')
    const long = device.empty([1, 8193])
    refused({ x: long, dOutput: long, dX: long }, 'unsupported')
  })
})
