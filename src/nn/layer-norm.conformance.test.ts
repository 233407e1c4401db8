import { afterAll, beforeAll, describe, it } from 'vitest'
import { devices } from '../../test/numerics/devices.ts'
import { expectClose, type FloatDType } from '../../test/numerics/expect-close.ts'
import { guardedOutput } from '../../test/numerics/guarded-output.ts'
import { randomNumbers } from '../../test/numerics/random.ts'
import type { Device } from '../device/index.ts'
import { roundTo } from '../ir/index.ts'
import { layerNormCases, layerNormInputs } from './layer-norm.cases.ts'
import { layerNormReference } from './layer-norm.reference.ts'
import { layerNorm } from './layer-norm.ts'

const dtypes: readonly FloatDType[] = ['f32', 'f16', 'bf16']
const seed = 3

describe.each(Object.entries(devices))('%s', (_, open) => {
  let device: Device
  beforeAll(async () => {
    device = await open()
  })
  afterAll(() => device?.dispose())

  describe.each(dtypes)('layer norm %s', (dtype) => {
    it.each(layerNormCases)('$name', async (of) => {
      const { N, D, eps, offset } = of
      const round = (v: number) => roundTo(dtype, v)
      const inputs = layerNormInputs(of, randomNumbers(seed))
      const x = inputs.x.map(round)
      const [weight, bias] = [inputs.weight?.map(round) ?? null, inputs.bias?.map(round) ?? null]
      const tensor = (data: Float64Array, shape: number[]) => device.tensor(Float32Array.from(data), shape, dtype)
      const output = guardedOutput(device, [N, D], dtype)
      layerNorm(device, {
        x: tensor(x, [N, D]),
        ...(weight && { weight: tensor(weight, [D]) }),
        ...(bias && { bias: tensor(bias, [D]) }),
        eps,
        offset,
        output: output.tensor,
      })
      const expected = layerNormReference({ N, D, x, weight, bias, eps, offset })
      const naive = layerNormReference({ N, D, x, weight, bias, eps, offset, round: Math.fround }).map(round)
      expectClose({ name: 'output', got: await output.read(), expected, naive, dtype, seed })
    })
  })
})
