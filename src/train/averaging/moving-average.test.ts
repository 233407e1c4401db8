import { describe, expect, it } from 'vitest'
import { relativeRms } from '../../../test/numerics/expect-close.ts'
import { randomNumbers } from '../../../test/numerics/random.ts'
import { openDevice } from '../../device/index.ts'
import { roundTo } from '../../ir/index.ts'
import { movingAverage } from './moving-average.ts'

const [seed, size] = [5, 9001]

describe('movingAverage', () => {
  it('follows its definition, switches, and changes places with the weights and back', async () => {
    const device = await openDevice('wasm', { wasm: { threads: 2 } })
    const random = randomNumbers(seed)
    const draw = () => Float64Array.from({ length: size }, () => Math.fround(random()))
    const [weight, compute, average] = [device.zeros([size]), device.zeros([size], 'bf16'), device.zeros([size])]
    const group = {
      name: 'group',
      size,
      weight,
      gradient: weight,
      compute,
      parameters: [],
      weightDecay: 0,
      learningRateFactor: 1,
    }
    const step = device.zeros([8])
    const memory = { states: { average }, step }
    const of = movingAverage({ decay: 0.4, switchEvery: 3 })
    let expected = draw()
    weight.write(expected)
    // whether the last step was skipped is no matter to what is not part of a step
    step.write([0, 0, 0, 1, 1, 0, 0, 0])
    of.start(device, group, memory)
    expect([...(await average.read())]).toEqual([...expected])
    for (let t = 1; t <= 12; t++) {
      const w = draw()
      weight.write(w)
      step.write([0, t, 0, t === 5 ? 1 : 0, 1, 0, 0, 0])
      of.enqueue(device, group, memory)
      const kept = Math.min(0.4, t / (t + 9))
      if (t !== 5) expected = expected.map((v, i) => kept * v + (1 - kept) * (w[i] as number))
    }
    expect(relativeRms(await average.read(), expected), `seed ${seed}`).toBeLessThan(1e-6)

    const [weights, averages] = [await weight.read(), await average.read()]
    of.enqueueExchange(device, group, memory)
    expect([await weight.read(), await average.read()]).toEqual([averages, weights])
    expect(await compute.read()).toEqual(averages.map((v) => roundTo('bf16', v)))
    of.enqueueExchange(device, group, memory)
    expect([await weight.read(), await average.read()]).toEqual([weights, averages])
    of.enqueueSwitch(device, group, memory)
    expect([await weight.read(), await average.read()]).toEqual([averages, averages])
    expect(await compute.read()).toEqual(averages.map((v) => roundTo('bf16', v)))
    device.dispose()
  })

  it('refuses what is no decay and no interval', () => {
    expect(() => movingAverage({ decay: 1 })).toThrow(/movingAverage: decay must be ≥ 0 and < 1, got 1/)
    expect(() => movingAverage({ switchEvery: 0.5 })).toThrow(/switchEvery must be a whole number ≥ 1, got 0.5/)
  })
})
