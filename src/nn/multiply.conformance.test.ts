import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { devices } from '../../test/numerics/devices.ts'
import type { Device } from '../device/index.ts'
import { multiply } from './multiply.ts'

describe.each(Object.entries(devices))('%s', (_, open) => {
  let device: Device
  beforeAll(async () => {
    device = await open()
  })
  afterAll(() => device?.dispose())

  it.each([
    [1, 1],
    [7, 33],
    [70, 300],
  ])('[%i, %i] times a number, and nothing beside it', async (rows, width) => {
    const data = Float32Array.from({ length: rows * (width + 2) }, (_, i) => Math.sin(i))
    const whole = device.tensor(data, [rows, width + 2])
    const output = whole.slice(1, 1, width + 1)
    multiply(device, { factor: -0.375, output })
    const got = (await whole.read()) as Float32Array
    const wanted = data.map((x, i) => {
      const column = i % (width + 2)
      return column === 0 || column > width ? x : Math.fround(x * -0.375)
    })
    expect([...got]).toEqual([...wanted])
  })

  it('of no rows does nothing, others than matrices of floats are refused', () => {
    multiply(device, { factor: 2, output: device.zeros([0, 4], 'f32') })
    for (const output of [device.zeros([4], 'f32'), device.zeros([2, 2], 'i32')])
      expect(() => multiply(device, { factor: 2, output })).toThrow(/multiply.*output must be/)
  })
})
