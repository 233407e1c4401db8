import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { devices } from '../../test/numerics/devices.ts'
import { relativeRms } from '../../test/numerics/expect-close.ts'
import { randomNumbers } from '../../test/numerics/random.ts'
import type { Device } from '../device/index.ts'
import { relu } from './activations.ts'
import { matchMagnitude } from './match-magnitude.ts'
import { sparseGate } from './sparse-gate.ts'
import { correctStreams, mixStreams } from './streams.ts'

const bound = 2e-6
const sizes = [
  [4, 1, 5],
  [2, 9, 64],
  [3, 20, 300],
] as const

describe.each(Object.entries(devices))('%s', (_, open) => {
  let device: Device
  beforeAll(async () => {
    device = await open()
  })
  afterAll(() => device?.dispose())
  const random = randomNumbers(11)
  const numbers = (n: number) => Float32Array.from({ length: n }, () => random())
  const at = (x: ArrayLike<number>, i: number) => x[i] as number
  const read = async (tensor: { read(): Promise<unknown> }) => (await tensor.read()) as Float32Array

  it.each(sizes)('streams: %i of [%i, %i], mixed and corrected', async (S, N, C) => {
    const [s, mix, scale, x, by] = [S * N * C, N * S * S, C, N * C, N * S].map(numbers) as [
      Float32Array,
      Float32Array,
      Float32Array,
      Float32Array,
      Float32Array,
    ]
    const streams = device.tensor(s, [S, N, C])
    const output = device.zeros([S, N, C], 'f32')
    const copy = device.zeros([N, C], 'f32')
    const active = S - 1
    mixStreams(device, { streams, coefficients: device.tensor(mix, [N, S * S]), output, active, copy })
    const mixed = new Float64Array(S * N * C)
    for (let q = 0; q < S; q++)
      for (let i = 0; i < N * C; i++) {
        mixed[q * N * C + i] = at(s, q * N * C + i)
        for (let p = 0; p < S; p++)
          mixed[q * N * C + i] =
            at(mixed, q * N * C + i) + at(mix, Math.floor(i / C) * S * S + q * S + p) * at(s, p * N * C + i)
      }
    expect(relativeRms(await read(output), mixed)).toBeLessThan(bound)
    expect(relativeRms(await read(copy), mixed.subarray(active * N * C))).toBeLessThan(bound)

    correctStreams(device, {
      ...{ streams, active, output, scaled: copy, x: device.tensor(x, [N, C]), scale: device.tensor(scale, [C]) },
      coefficients: device.tensor(by, [N, S]),
    })
    const corrected = mixed.map((__, j) => {
      const [q, i] = [Math.floor(j / (N * C)), j % (N * C)]
      return at(s, j) + (at(x, i) - at(s, active * N * C + i)) * (at(by, Math.floor(i / C) * S + q) + 1)
    })
    expect(relativeRms(await read(output), corrected)).toBeLessThan(bound)
    const scaled = corrected.subarray(active * N * C).map((value, i) => value * at(scale, i % C))
    expect(relativeRms(await read(copy), scaled)).toBeLessThan(bound)
  })

  it.each(sizes)('magnitudes of rows and gates above a cut (%i, [%i, %i])', async (__, N, C) => {
    const [like, given] = [numbers(N * C), numbers(N * C)]
    // a row of zeros stays one
    given.fill(0, 0, C)
    const output = device.tensor(given, [N, C])
    matchMagnitude(device, { x: device.tensor(like, [N, C]), output })
    const squares = (x: Float32Array, n: number) =>
      x.subarray(n * C, (n + 1) * C).reduce((sum, v) => sum + v * v, 0) / C
    const wanted = Float64Array.from(given, (value, i) => {
      const n = Math.floor(i / C)
      return value * Math.sqrt(squares(like, n) / Math.max(squares(given, n), 1e-5))
    })
    const got = await read(output)
    expect([...got.subarray(0, C)].every((v) => v === 0)).toBe(true)
    if (N > 1) expect(relativeRms(got, wanted)).toBeLessThan(bound)

    const both = numbers(N * 2 * C).map((v) => v + 0.25)
    const gated = device.zeros([N, C], 'f32')
    sparseGate(device, { x: device.tensor(both, [N, 2 * C]), deviations: 0.7, activation: relu, output: gated })
    const expected = new Float64Array(N * C)
    for (let n = 0; n < N; n++) {
      const gates = both.subarray(n * 2 * C, n * 2 * C + C)
      const mean = gates.reduce((sum, v) => sum + v, 0) / C
      const cut = mean + 0.7 * Math.sqrt(gates.reduce((sum, v) => sum + (v - mean) ** 2, 0) / C)
      for (let i = 0; i < C; i++) expected[n * C + i] = Math.max(0, at(gates, i) - cut) * at(both, n * 2 * C + C + i)
    }
    expect(expected.some((v) => v !== 0)).toBe(true)
    expect(relativeRms(await read(gated), expected)).toBeLessThan(10 * bound)
  })

  it('what does not fit is refused', () => {
    const f32 = (...shape: number[]) => device.zeros(shape, 'f32')
    const mix = { streams: f32(2, 3, 4), coefficients: f32(3, 4), output: f32(2, 3, 4), active: 0, copy: f32(3, 4) }
    expect(() => mixStreams(device, { ...mix, coefficients: f32(3, 2) })).toThrow(/mixStreams.*coefficients must be/)
    expect(() => mixStreams(device, { ...mix, copy: device.zeros([3, 4], 'i32') })).toThrow(/copy must be f32/)
    expect(() => matchMagnitude(device, { x: f32(2, 3), output: f32(3, 2) })).toThrow(/matchMagnitude.*alike/)
    const gate = { x: f32(2, 6), deviations: 1, activation: relu, output: f32(2, 3) }
    expect(() => sparseGate(device, { ...gate, x: f32(2, 5) })).toThrow(/sparseGate.*2·I/)
  })
})
