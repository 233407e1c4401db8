import { describe, expect, it } from 'vitest'
import { relativeRms } from '../../test/numerics/expect-close.ts'
import { randomNumbers } from '../../test/numerics/random.ts'
import { type Device, openDevice } from '../device/index.ts'
import { clipScratch, enqueueClip } from './clip.ts'
import type { ParameterGroup } from './parameters.ts'

const seed = 3

describe.each(['interpret', 'wasm', 'webgpu'] as const)('enqueueClip on %s', (kind) => {
  it('computes the norm over all groups, the factor and whether to skip', async () => {
    const device = await openDevice(kind)
    const random = randomNumbers(seed)
    const lossScale = 1024
    const values = [17001, 8192, 5].map((n) => Float32Array.from({ length: n }, () => random() * lossScale))
    const groups = values.map((data) => groupOf(device, data))
    const norm = Math.sqrt(values.flatMap((data) => [...data]).reduce((sum, v) => sum + v * v, 0)) / lossScale
    const scratch = device.tensor(new Float32Array(clipScratch(groups)).fill(Number.NaN), [clipScratch(groups)])
    const step = device.empty([8])
    const output = device.empty([1])
    const clip = async (maxNorm: number | null) => {
      step.write([0.5, 7, Number.NaN, 1, lossScale, 1, 2, 3])
      enqueueClip(device, { groups, maxNorm, scratch, step, norm: output })
      return { step: await step.read(), norm: (await output.read())[0] as number }
    }
    const expectStep = (got: ArrayLike<number>, factor: number) => {
      expect(relativeRms([got[2] as number], [factor])).toBeLessThan(1e-6)
      expect([...Array.from(got, Number)]).toEqual([0.5, 7, got[2], 0, lossScale, 1, 2, 3])
    }

    const clipped = await clip(1.5)
    expect(relativeRms([clipped.norm], [norm])).toBeLessThan(1e-6)
    expectStep(clipped.step, 1.5 / (norm + 1e-6) / lossScale)
    expectStep((await clip(norm * 2)).step, 1 / lossScale)
    expectStep((await clip(null)).step, 1 / lossScale)

    const again = await clip(1.5)
    expect([again.norm, ...again.step]).toEqual([clipped.norm, ...clipped.step])

    for (const bad of [Number.NaN, Number.POSITIVE_INFINITY, 1e30]) {
      const data = (values[1] as Float32Array).slice()
      data[data.length - 1] = bad
      groups[1]?.gradient.write(data)
      const { step: got, norm: found } = await clip(1.5)
      expect([got[2], got[3]], String(bad)).toEqual([0, 1])
      expect(Number.isFinite(found)).toBe(false)
    }
    device.dispose()
  })
})

function groupOf(device: Device, data: Float32Array): ParameterGroup {
  const gradient = device.tensor(data, [data.length])
  return {
    name: 'group',
    size: data.length,
    weight: gradient,
    gradient,
    compute: null,
    parameters: [],
    weightDecay: 0,
    learningRateFactor: 1,
  }
}
