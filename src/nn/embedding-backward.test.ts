import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { devices } from '../../test/numerics/devices.ts'
import { expectClose } from '../../test/numerics/expect-close.ts'
import { randomNumbers } from '../../test/numerics/random.ts'
import type { Device } from '../device/index.ts'
import { roundTo } from '../ir/index.ts'
import { embedBackward } from './embedding-backward.ts'
import { ropeReference } from './rope.reference.ts'
import { applyRope } from './rope.ts'
import { ropeTables } from './rope-tables.ts'

const seed = 23

describe.each(Object.entries(devices))('%s', (_, open) => {
  let device: Device
  beforeAll(async () => {
    device = await open()
  })
  afterAll(() => device?.dispose())

  it.each(['f32', 'f16'] as const)('adds up the gradients of %s of equal ids', async (dtype) => {
    const [N, V, C, scale] = [40, 9, 130, 1.5]
    const random = randomNumbers(seed)
    // most tokens are one id, some ids are none
    const ids = Array.from({ length: N }, (_, n) => (n % 3 ? 4 : Math.floor(Math.abs(random()) * V)))
    const order = ids.map((_, n) => n).sort((a, b) => (ids[a] as number) - (ids[b] as number) || a - b)
    const starts = Array.from({ length: V + 1 }, (_, v) => ids.filter((id) => id < v).length)
    const dY = Float64Array.from({ length: N * C }, () => roundTo(dtype, random()))
    const before = Float64Array.from({ length: V * C }, () => Math.fround(random()))
    const dTable = device.tensor(Float32Array.from(before), [V, C])
    embedBackward(device, {
      order: device.tensor(Int32Array.from(order), [N]),
      starts: device.tensor(Int32Array.from(starts), [V + 1]),
      dOutput: device.tensor(Float32Array.from(dY), [N, C], dtype),
      dTable,
      scale,
    })
    const reference = (round: (x: number) => number) => {
      const sums = new Float64Array(V * C)
      for (const [n, id] of ids.entries())
        for (let c = 0; c < C; c++) sums[id * C + c] = round((sums[id * C + c] as number) + (dY[n * C + c] as number))
      return before.map((v, i) => round(v + scale * (sums[i] as number)))
    }
    const [expected, naive] = [reference((v) => v), reference(Math.fround)]
    expectClose({ name: 'dTable', got: await dTable.read(), expected, naive, dtype: 'f32', seed })
  })

  it('rope turns gradients back: ⟨rope(x), y⟩ = ⟨x, inverse(y)⟩, on heads of a wider row', async () => {
    const [N, H, D, factor] = [7, 2, 12, 1.3]
    const random = randomNumbers(seed)
    const inverseFrequencies = [1, 0.3, 0.01, 0.5]
    const frequencies = { rotaryDim: 8, inverseFrequencies, attentionFactor: factor }
    const { data, ...layout } = ropeTables(frequencies, 100)
    const positions = Array.from({ length: N }, (_, n) => (n * 37) % 100)
    const y = Float64Array.from({ length: N * H * D }, () => Math.fround(random()))
    const wide = device.zeros([N, (H + 1) * D]).view({ shape: [N, H, D], strides: [(H + 1) * D, D, 1], offset: 0 })
    wide.write(Float32Array.from(y))
    const output = device.empty([N, H, D])
    for (const interleaved of [true, false]) {
      applyRope(device, {
        x: wide,
        positions: device.tensor(Int32Array.from(positions), [N]),
        tables: { ...layout, table: device.tensor(data, [layout.rows, 2 * layout.pairs]) },
        interleaved,
        inverse: true,
        output,
      })
      // the transpose, column by column: ⟨rope(e), y⟩ for every unit vector e
      const turned = (round: (x: number) => number) =>
        y.map((_, i) => {
          const x = new Float64Array(N * H * D)
          x[i] = 1
          const image = ropeReference({ N, H, D, x, positions, ...frequencies, interleaved, round })
          return image.reduce((sum, v, j) => round(sum + v * (y[j] as number)), 0)
        })
      const [expected, naive] = [turned((v) => v), turned(Math.fround)]
      expectClose({ name: 'dX', got: await output.read(), expected, naive, dtype: 'f32', seed })
    }
  })

  it('refuses what does not fit', () => {
    const call = {
      order: device.empty([4], 'i32'),
      starts: device.empty([4], 'i32'),
      dOutput: device.empty([4, 6]),
      dTable: device.empty([3, 6]),
    }
    const refused = (change: object, code: string) =>
      expect(() => embedBackward(device, { ...call, ...change })).toThrow(
        expect.objectContaining({ code, where: 'embedBackward' }),
      )
    refused({ starts: device.empty([3], 'i32') }, 'shape')
    refused({ dTable: device.empty([3, 5]) }, 'shape')
    refused({ order: device.empty([4]) }, 'dtype')
    embedBackward(device, call)
  })
})
