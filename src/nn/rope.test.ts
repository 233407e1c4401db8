import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type Device, openDevice } from '../device/index.ts'
import { applyRope, type RopeOptions } from './rope.ts'
import { ropeTableBytes, ropeTables } from './rope-tables.ts'

const device: Device = await openDevice('interpret', { interpret: { precision: 'real' } })

const upload = (pairs: number, maxPositions: number, attentionFactor = 1) => {
  const inverseFrequencies = Array.from({ length: pairs }, (_, i) => 10_000 ** (-i / pairs))
  const { data, ...layout } = ropeTables({ rotaryDim: 2 * pairs, inverseFrequencies, attentionFactor }, maxPositions)
  return { ...layout, table: device.tensor(data, [layout.rows, 2 * pairs]), inverseFrequencies }
}

/** x [N, 1, 2] of ones (1, 0) turned: cos and sin of the first frequency at each position */
async function turned(positions: readonly number[], maxPositions: number, frequency: number): Promise<Float32Array> {
  const N = positions.length
  const spec = { rotaryDim: 2, inverseFrequencies: [frequency], attentionFactor: 1 }
  const { data, ...layout } = ropeTables(spec, maxPositions)
  const output = device.empty([N, 1, 2])
  applyRope(device, {
    x: device.tensor(
      Float32Array.from({ length: 2 * N }, (_, i) => (i % 2 === 0 ? 1 : 0)),
      [N, 1, 2],
    ),
    positions: device.tensor(Int32Array.from(positions), [N]),
    tables: { ...layout, table: device.tensor(data, [layout.rows, 2]) },
    output,
  })
  return (await output.read()) as Float32Array
}

describe('rotary tables', () => {
  it('join to cos and sin within 2e-7 at any position and frequency', () =>
    fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 2_000_000 }),
        fc.double({ min: 1e-7, max: 1, noNaN: true }),
        fc.array(fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }), { minLength: 1, maxLength: 20 }),
        async (maxPositions, frequency, parts) => {
          const positions = parts.map((part) => Math.floor(part * maxPositions))
          const got = await turned(positions, maxPositions, frequency)
          for (const [n, position] of positions.entries()) {
            expect(Math.abs((got[2 * n] as number) - Math.cos(position * frequency))).toBeLessThan(2e-7)
            expect(Math.abs((got[2 * n + 1] as number) - Math.sin(position * frequency))).toBeLessThan(2e-7)
          }
        },
      ),
      { numRuns: 30 },
    ))
  it('take memory in proportion to the root of the positions', () => {
    expect(ropeTableBytes(64, 4096)).toBe((64 + 64) * 64 * 4)
    expect(ropeTableBytes(128, 131_072)).toBeLessThan(0.4e6)
    expect(ropeTables({ rotaryDim: 2, inverseFrequencies: [1], attentionFactor: 1 }, 5000).data.byteLength).toBe(
      ropeTableBytes(2, 5000),
    )
  })
  it.each([
    [{ rotaryDim: 3, inverseFrequencies: [1], attentionFactor: 1 }, 8, /rotaryDim must be even.*got 3/],
    [{ rotaryDim: 4, inverseFrequencies: [1], attentionFactor: 1 }, 8, /takes 2 inverseFrequencies, got 1/],
    [{ rotaryDim: 2, inverseFrequencies: [Number.NaN], attentionFactor: 1 }, 8, /inverseFrequencies\[0\].*got NaN/],
    [{ rotaryDim: 2, inverseFrequencies: [1], attentionFactor: 1 / 0 }, 8, /attentionFactor must be finite/],
    [{ rotaryDim: 2, inverseFrequencies: [1], attentionFactor: 1 }, 0, /maxPositions must be .*got 0/],
  ])('refuse %j at %d positions', (spec, positions, message) => {
    expect(() => ropeTables(spec, positions)).toThrow(message)
  })
})

describe('laws of rope', () => {
  it('a product of query and key knows only their distance', async () => {
    const [pairs, D] = [8, 16]
    const tables = upload(pairs, 4096)
    const numbers = (n: number) => Float32Array.from({ length: D }, (_, i) => Math.sin(n * 7 + i * 1.7))
    const at = async (data: Float32Array, position: number) => {
      const output = device.empty([1, 1, D])
      const positions = device.tensor(Int32Array.of(position), [1])
      applyRope(device, { x: device.tensor(data, [1, 1, D]), positions, tables, output })
      return (await output.read()) as Float32Array
    }
    const product = async (q: number, k: number) => {
      const [a, b] = [await at(numbers(1), q), await at(numbers(2), k)]
      return a.reduce((sum, x, i) => sum + x * (b[i] as number), 0)
    }
    const expected = await product(5, 0)
    for (const shift of [1, 63, 64, 1000, 4090]) expect(await product(5 + shift, shift)).toBeCloseTo(expected, 5)
    expect(Math.abs((await product(6, 0)) - expected)).toBeGreaterThan(1e-3)
  })
})

describe('what applyRope refuses', () => {
  const tables = upload(4, 64)
  const options = {
    x: device.zeros([3, 2, 8]),
    positions: device.zeros([3], 'i32'),
    tables,
    output: device.zeros([3, 2, 8]),
  }
  it.each<[string, Partial<RopeOptions>]>([
    ['shape', { output: device.zeros([3, 2, 9]) }],
    ['shape', { positions: device.zeros([4], 'i32') }],
    ['shape', { x: device.zeros([3, 2, 6]), output: device.zeros([3, 2, 6]) }],
    ['shape', { tables: { ...tables, rows: tables.rows + 1 } }],
    ['dtype', { positions: device.zeros([3]) }],
    ['dtype', { x: device.zeros([3, 2, 8], 'i32') }],
  ])('%s %#', (code, change) => {
    let error: unknown
    try {
      applyRope(device, { ...options, ...change })
    } catch (thrown) {
      error = thrown
    }
    expect(error).toMatchObject({ code, where: 'applyRope' })
  })
})
