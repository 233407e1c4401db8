import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import type { Device } from '../../src/device/index.ts'
import { dequantizeRows, quantizeMatrix } from '../../src/nn/block-formats/matrix-values.ts'
import { weightFormats } from '../../src/nn/block-formats/weight-formats.ts'
import { embed } from '../../src/nn/embedding.ts'
import { linearReference } from '../../src/nn/linear.reference.ts'
import { linear } from '../../src/nn/linear.ts'
import { placeLinear } from '../../src/nn/place-linear.ts'
import type { WeightDType } from '../../src/nn/weight-data.ts'
import { devices } from '../numerics/devices.ts'
import { expectClose, relativeRms } from '../numerics/expect-close.ts'
import { randomNumbers } from '../numerics/random.ts'
import { recordedBlocks, recordedBlocksAreHere } from './recorded-blocks.ts'

const seed = 3
const formats = (Object.keys(weightFormats) as WeightDType[]).filter((dtype) => {
  const { ggml, elements } = weightFormats[dtype]
  return ggml !== null && elements > 1
})

beforeEach((context) => {
  if (!recordedBlocksAreHere) context.skip('not there: ../shared/golden/formats')
})

describe('recorded blocks', () => {
  it.each(formats)('%s: bytes give their values, and values their bytes', async (dtype) => {
    const { rows, cols, bytes, values, quantised } = await recordedBlocks(dtype)
    expect(rows * cols).toBeGreaterThanOrEqual(3072)
    const got = dequantizeRows({ dtype, rows, cols, bytes })
    expect(got.findIndex((value, i) => value !== values[i] && !(Number.isNaN(value) && Number.isNaN(values[i])))).toBe(
      -1,
    )
    if (!quantised) return
    const { bytes: written } = quantizeMatrix(quantised.values, quantised.rows, cols, dtype)
    expect(written.findIndex((byte, i) => byte !== quantised.bytes[i])).toBe(-1)
    expect(written.length).toBe(quantised.bytes.length)
  })
})

describe.each(Object.entries(devices))('%s', (_, open) => {
  let device: Device
  beforeAll(async () => {
    device = await open()
  })
  afterAll(() => device?.dispose())

  it.each(formats)('multiplies recorded blocks of %s, and looks their rows up', async (dtype) => {
    const { rows: M, cols: K, bytes, values } = await recordedBlocks(dtype)
    const weight = placeLinear(device, { parts: [{ dtype, rows: M, cols: K, bytes }], name: dtype })
    const random = randomNumbers(seed)
    for (const N of [1, 3, 20]) {
      const x = Float64Array.from({ length: N * K }, () => Math.fround(random()))
      const [input, output] = [device.tensor(Float32Array.from(x), [N, K]), device.empty([N, M])]
      linear(device, { x: input, weight, output })
      const shape = { N, M, K, x, weight: Float64Array.from(values), bias: null }
      const of = { ...shape, activation: null, gated: false, before: null }
      const [expected, naive] = [linearReference(of), linearReference({ ...of, round: Math.fround })]
      expectClose({ name: `${dtype}, ${N} rows`, got: await output.read(), expected, naive, dtype: 'f32', seed })
      input.dispose()
      output.dispose()
    }
    const output = device.empty([M, K])
    const ids = device.tensor([...new Array(M).keys()], [M], 'i32')
    embed(device, { table: weight, ids, output })
    expect(relativeRms(await output.read(), values)).toBeLessThan(1e-7)
    for (const tensor of [ids, output]) tensor.dispose()
    weight.dispose()
  })
})
