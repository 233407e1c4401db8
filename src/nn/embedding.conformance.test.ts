import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { devices } from '../../test/numerics/devices.ts'
import { expectClose } from '../../test/numerics/expect-close.ts'
import { guardedOutput } from '../../test/numerics/guarded-output.ts'
import { randomNumbers } from '../../test/numerics/random.ts'
import type { Device, Tensor } from '../device/index.ts'
import { roundTo } from '../ir/index.ts'
import { dequantizeRows, quantizeMatrix } from './block-formats/matrix-values.ts'
import { embedReference } from './embedding.reference.ts'
import { embed } from './embedding.ts'
import { gatherRows } from './gather-rows.ts'
import { placeLinear } from './place-linear.ts'
import type { WeightDType } from './weight-data.ts'

const seed = 7
const draw = (random: () => number, n: number) => Float64Array.from({ length: n }, () => Math.fround(random()))

describe.each(Object.entries(devices))('%s', (_, open) => {
  let device: Device
  beforeAll(async () => {
    device = await open()
  })
  afterAll(() => device?.dispose())

  it.each<[WeightDType, number]>([
    ['f32', 40],
    ['bf16', 72],
    ['q8_0', 96],
    ['q4_0', 96],
    ['q4_1', 96],
    ['q5_0', 96],
    ['q5_1', 160],
    ['q4_k', 256],
    ['q5_k', 512],
    ['q6_k', 256],
    ['mxfp4', 96],
  ])('embeds from a placed %s weight, width %d', async (dtype, C) => {
    const random = randomNumbers(seed)
    const matrix = quantizeMatrix(Float32Array.from(draw(random, 70 * C)), 70, C, dtype)
    const table = placeLinear(device, { parts: [matrix], name: 'embedding' })
    const ids = [3, 69, 0, 31, 32, 70, -1]
    const [positions, positionTable] = [[0, 4, 2, 1, 3, 0, 5], draw(random, 5 * C)]
    const output = guardedOutput(device, [ids.length, C], 'f32')
    embed(device, {
      table,
      ids: device.tensor(ids, [ids.length], 'i32'),
      scale: 1.5,
      positionTable: device.tensor(Float32Array.from(positionTable), [5, C]),
      positions: device.tensor(positions, [ids.length], 'i32'),
      output: output.tensor,
    })
    const rows = Float64Array.from(dequantizeRows(matrix))
    const expected = embedReference({ C, table: rows, ids, scale: 1.5, positionTable, positions })
    expectClose({
      name: dtype,
      got: await output.read(),
      expected,
      naive: expected.map(Math.fround),
      dtype: 'f32',
      seed,
    })
    table.dispose()
  })

  it('embeds from a plain table, and gathers rows', async () => {
    const values = draw(randomNumbers(seed), 9 * 130).map((v) => roundTo('bf16', v))
    const table = device.tensor(Float32Array.from(values), [9, 130], 'bf16')
    const ids = device.tensor([8, 0, 9, 4, 4], [5], 'i32')
    const expected = embedReference({
      C: 130,
      table: values,
      ids: [8, 0, 9, 4, 4],
      scale: 1,
      positionTable: null,
      positions: null,
    })
    const calls = [
      (output: Tensor) => embed(device, { table, ids, output }),
      (output: Tensor) => gatherRows(device, { x: table, rows: ids, output }),
    ]
    for (const call of calls) {
      const output = guardedOutput(device, [5, 130], 'f32')
      call(output.tensor)
      expect([...(await output.read())]).toEqual([...expected])
    }
  })
})
