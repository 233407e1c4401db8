import { describe, expect, it } from 'vitest'
import { relativeRms } from '../../test/numerics/expect-close.ts'
import { randomNumbers } from '../../test/numerics/random.ts'
import { type Device, openDevice, type Tensor } from '../device/index.ts'
import { layerNorm } from './layer-norm.ts'
import { rmsNorm } from './rms-norm.ts'

const device: Device = await openDevice('wasm', { wasm: { threads: 1 } })
const drawn = (shape: readonly number[]): Tensor =>
  device.tensor(Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, randomNumbers(1)), shape)

describe.each([
  ['rmsNorm', rmsNorm],
  ['layerNorm', layerNorm],
] as const)('the output of %s', (where, norm) => {
  it('is what is given, in its own dtype, and nothing is allocated', async () => {
    const x = drawn([5, 384])
    const expected = await norm(device, { x }).read()
    for (const dtype of ['f32', 'f16', 'bf16'] as const) {
      const output = device.empty([5, 384], dtype)
      const before = device.memory.allocated
      expect(norm(device, { x, output })).toBe(output)
      expect(device.memory.allocated).toBe(before)
      expect(relativeRms(await output.read(), expected)).toBeLessThan({ f32: 1e-12, f16: 1e-3, bf16: 8e-3 }[dtype])
    }
  })
  it('may be a part of something larger, and so may x', async () => {
    const wide = drawn([6, 3, 40])
    const rows = wide.slice(1, 1, 2)
    const expected = await norm(device, { x: rows }).read()
    const whole = device.zeros([6, 3, 40])
    norm(device, { x: rows, output: whole.slice(1, 2, 3) })
    const written = (await whole.read()) as Float32Array
    for (let n = 0; n < 6; n++) {
      expect(written.subarray(n * 120, n * 120 + 80).every((v) => v === 0)).toBe(true)
      expect([...written.subarray(n * 120 + 80, n * 120 + 120)]).toEqual([...expected.subarray(n * 40, n * 40 + 40)])
    }
  })
  it('is refused with another shape, or in the memory of x', () => {
    const x = drawn([4, 6])
    expect(() => norm(device, { x, output: device.zeros([6, 4]) })).toThrow(
      expect.objectContaining({ code: 'shape', where }),
    )
    expect(() => norm(device, { x, output: x.reshape([4, 6]) })).toThrow(/share memory/)
  })
})
