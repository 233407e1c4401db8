import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { devices } from '../../test/numerics/devices.ts'
import type { Device } from '../device/index.ts'
import { attention } from './attention.ts'

// WebGPU takes 65,535 workgroups along an axis of a grid: more sequences, or more heads, than that.
const [keys, width] = [1, 4]
const numbers = (count: number, from: number) =>
  Float32Array.from({ length: count }, (_, i) => Math.sin(i * 0.37 + from))

describe('webgpu T0', () => {
  let device: Device
  beforeAll(async () => {
    device = await (devices['webgpu T0'] as () => Promise<Device>)()
  }, 60_000)
  afterAll(() => device.dispose())

  it.each([
    ['66,000 sequences', 66_000, 1],
    ['66,000 heads', 1, 66_000],
  ])(
    'one query each of %s',
    async (_, batch, heads) => {
      const rows = batch * heads
      const [q, k, v] = [numbers(rows * width, 1), numbers(rows * keys * width, 2), numbers(rows * keys * width, 3)]
      const request = {
        query: device.tensor(q, [batch, 1, heads, width]),
        key: device.tensor(k, [batch, keys, heads, width]),
        value: device.tensor(v, [batch, keys, heads, width]),
      }
      const { output, lse } = await attention(device, request)
      const [found, sums] = [await output.read(), await lse.read()]
      let [worst, worstSum] = [0, 0]
      for (let row = 0; row < rows; row++) {
        const at = (key: number, d: number) =>
          ((Math.floor(row / heads) * keys + key) * heads + (row % heads)) * width + d
        const scores = Array.from({ length: keys }, (_, key) => {
          let score = 0
          for (let d = 0; d < width; d++) score += (q[row * width + d] as number) * (k[at(key, d)] as number)
          return score / Math.sqrt(width)
        })
        const sum = scores.reduce((total, score) => total + Math.exp(score), 0)
        worstSum = Math.max(worstSum, Math.abs((sums[row] as number) - Math.log(sum)))
        for (let d = 0; d < width; d++) {
          const expected = scores.reduce((total, s, key) => total + (Math.exp(s) / sum) * (v[at(key, d)] as number), 0)
          worst = Math.max(worst, Math.abs((found[row * width + d] as number) - expected))
        }
      }
      expect(worst).toBeLessThan(1e-5)
      expect(worstSum).toBeLessThan(1e-5)
      for (const tensor of [...Object.values(request), output, lse]) tensor.dispose()
    },
    120_000,
  )
})
