import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { devices } from '../../test/numerics/devices.ts'
import { expectClose } from '../../test/numerics/expect-close.ts'
import { guardedOutput } from '../../test/numerics/guarded-output.ts'
import { randomNumbers } from '../../test/numerics/random.ts'
import type { Device } from '../device/index.ts'
import { roundTo } from '../ir/index.ts'
import { meanRowsReference } from './mean-rows.reference.ts'
import { meanRows } from './mean-rows.ts'

const seed = 7
/** one row, odd lengths, more rows than a tile, none, runs that overlap, one that begins before x and one that ends behind it */
const bounds = [
  [0, 1],
  [1, 4],
  [4, 75],
  [10, 10],
  [3, 69],
  [-2, 3],
  [60, 90],
] as const

describe.each(Object.entries(devices))('%s', (_, open) => {
  let device: Device
  beforeAll(async () => {
    device = await open()
  })
  afterAll(() => device?.dispose())

  it.each([
    ['f32', 1],
    ['f32', 40],
    ['f32', 300],
    ['f16', 33],
    ['bf16', 96],
  ] as const)('means of runs of rows: %s, %i wide', async (dtype, D) => {
    const random = randomNumbers(seed)
    const x = Float64Array.from({ length: 75 * D }, () => roundTo(dtype, random() + 3))
    const guarded = guardedOutput(device, [bounds.length, D], 'f32')
    meanRows(device, {
      x: device.tensor(Float32Array.from(x), [75, D], dtype),
      bounds: device.tensor(Int32Array.from(bounds.flat()), [bounds.length, 2]),
      output: guarded.tensor,
    })
    const expected = meanRowsReference(x, D, bounds)
    const naive = expected.map(Math.fround)
    expectClose({ name: 'means', got: await guarded.read(), expected, naive, dtype: 'f32', seed })
  })

  it('refuses shapes and dtypes that do not fit', () => {
    const [x, runs, output] = [device.zeros([4, 8]), device.zeros([2, 2], 'i32'), device.zeros([2, 8])]
    const fault = (code: string) => expect.objectContaining({ name: 'FoveaError', code })
    expect(() => meanRows(device, { x, bounds: device.zeros([3, 2], 'i32'), output })).toThrow(fault('shape'))
    expect(() => meanRows(device, { x, bounds: runs, output: device.zeros([2, 9]) })).toThrow(fault('shape'))
    expect(() => meanRows(device, { x, bounds: device.zeros([2, 2]), output })).toThrow(fault('dtype'))
    expect(() => meanRows(device, { x: device.zeros([4, 8], 'i32'), bounds: runs, output })).toThrow(fault('dtype'))
  })
})
