import { describe, expect, it } from 'vitest'
import { relativeRms } from '../../test/numerics/expect-close.ts'
import { randomNumbers } from '../../test/numerics/random.ts'
import { randomBlocks } from '../../test/numerics/random-blocks.ts'
import { type Device, FoveaError, openDevice } from '../device/index.ts'
import { silu } from './activations.ts'
import { dequantizeRows, quantizeMatrix } from './block-formats/matrix-values.ts'
import { embed } from './embedding.ts'
import { gatedLinear } from './gated-mlp.ts'
import { gatherRows } from './gather-rows.ts'
import { linear } from './linear.ts'
import { linearBytes, type PlaceLinearOptions, placeLinear } from './place-linear.ts'
import { type WeightDType, weightBlock } from './weight-data.ts'

const device: Device = await openDevice('interpret', { interpret: { precision: 'real' } })
const numbers = (seed: number, n: number) => Float32Array.from({ length: n }, randomNumbers(seed))
const matrix = (rows: number, cols: number, dtype: WeightDType = 'f32') =>
  quantizeMatrix(numbers(rows + cols, rows * cols), rows, cols, dtype)

const quantised = Object.keys(weightBlock).filter((dtype) => weightBlock[dtype as WeightDType].elements > 1)

describe('placed weights', () => {
  it.each<[WeightDType, 'rows' | 'panels']>(
    (quantised as WeightDType[]).flatMap((dtype) => [
      [dtype, 'rows'],
      [dtype, 'panels'],
    ]),
  )('every bit of %s is where it belongs, in %s', async (dtype, layout) => {
    const data = randomBlocks(dtype, 5, 512, randomNumbers(11))
    const table = placeLinear(device, { parts: [data], name: 'table', layout })
    const output = device.empty([5, 512])
    embed(device, { table, ids: device.tensor([0, 1, 2, 3, 4], [5], 'i32'), output })
    expect(relativeRms(await output.read(), dequantizeRows(data))).toBeLessThan(1e-7)
  })

  it('take what the plan says, at most a tenth more than the file', () => {
    const before = device.memory.allocated
    const bias = numbers(1, 96)
    const weight = placeLinear(device, { parts: [matrix(64, 256, 'q6_k'), matrix(32, 256, 'q6_k')], bias, name: 'w' })
    expect(device.memory.allocated - before).toBe(weight.byteLength)
    expect(linearBytes('q6_k', [64, 32], 256, 'interpret', { bias: true })).toBe(weight.byteLength)
    weight.dispose()
    weight.dispose()
    expect([device.memory.allocated, weight.disposed]).toEqual([before, true])
    for (const dtype of Object.keys(weightBlock) as WeightDType[])
      for (const kind of ['wasm', 'webgpu'] as const) {
        const { elements, bytes } = weightBlock[dtype]
        expect(linearBytes(dtype, 4096, 2048, kind) / (4096 * (2048 / elements) * bytes)).toBeLessThan(1.1)
      }
  })

  it('spread over several buffers, give the same', async () => {
    const parts = [matrix(50, 64, 'q8_0'), matrix(20, 64, 'q8_0')]
    const bias = numbers(2, 70)
    const whole = placeLinear(device, { parts, bias, name: 'whole', layout: 'rows' })
    const spread = placeLinear(device, { parts, bias, name: 'spread', layout: 'rows', maxBindingBytes: 64 * 22 })
    expect(spread.blocks.map(({ from, to }) => [from, to])).toEqual([
      [0, 20],
      [20, 40],
      [40, 60],
      [60, 70],
    ])
    const x = device.tensor(numbers(3, 2 * 64), [2, 64])
    const outputs = [whole, spread].map((weight) => {
      const output = device.empty([2, 70])
      linear(device, { x, weight, output })
      return output
    })
    expect(await outputs[1]?.read()).toEqual(await outputs[0]?.read())
    const ids = device.tensor([0, 19, 20, 69, 70, -1, 45], [7], 'i32')
    const rows = [whole, spread].map((table) => {
      const output = device.tensor(new Float32Array(7 * 64).fill(Number.NaN), [7, 64])
      embed(device, { table, ids, output })
      return output
    })
    expect(await rows[1]?.read()).toEqual(await rows[0]?.read())
  })

  it('compile nothing for another number of rows of the same class', () => {
    const weight = placeLinear(device, { parts: [matrix(40, 32)], name: 'w' })
    const made = (N: number) => {
      let count = 0
      const programs = {
        get: (key: readonly never[], make: () => never) =>
          weight.programs.get(key, () => {
            count++
            return make()
          }),
      }
      linear(device, {
        x: device.zeros([N, 32]),
        weight: { ...weight, programs: programs as never },
        output: device.zeros([N, 40]),
      })
      return count
    }
    expect([1, 2, 4, 5, 16, 17, 300, 1, 3, 9, 64].map(made)).toEqual([1, 1, 0, 1, 0, 1, 0, 0, 0, 0, 0])
  })

  it.each<[string, string, Partial<PlaceLinearOptions>]>([
    ['argument', 'no parts', { parts: [] }],
    ['dtype', 'mixed dtypes', { parts: [matrix(4, 32), matrix(4, 32, 'q8_0')] }],
    ['shape', 'other widths', { parts: [matrix(4, 32), matrix(4, 64)] }],
    ['shape', 'half a block', { parts: [{ dtype: 'q8_0', rows: 1, cols: 40, bytes: new Uint8Array(43) }] }],
    ['shape', 'bytes that are missing', { parts: [{ ...matrix(4, 32), bytes: new Uint8Array(100) }] }],
    ['shape', 'a bias of another size', { bias: new Float32Array(3) }],
  ])('refuse with %s: %s', (code, _, change) => {
    const before = device.memory.allocated
    const error = refusal(() => placeLinear(device, { parts: [matrix(4, 32)], name: 'w', ...change }))
    expect(error).toMatchObject({ code, where: 'placeLinear' })
    expect(device.memory.allocated).toBe(before)
  })
})

describe('what linear layers refuse', async () => {
  const other = await openDevice('interpret')
  const weight = placeLinear(device, { parts: [matrix(8, 32), matrix(8, 32)], name: 'mlp.up' })
  const odd = placeLinear(device, { parts: [matrix(8, 32), matrix(6, 32)], name: 'odd' })
  const inRows = placeLinear(device, { parts: [matrix(8, 32)], name: 'rows', layout: 'rows' })
  const norm = (width: number) => ({ weight: device.zeros([width]), eps: 1e-6, offset: 0 })
  const gone = placeLinear(device, { parts: [matrix(8, 32)], name: 'gone' })
  gone.dispose()
  const [x, output] = [device.zeros([3, 32]), device.zeros([3, 16])]
  it.each<[string, string, () => void]>([
    ['shape', 'x of another width', () => linear(device, { x: device.zeros([3, 31]), weight, output })],
    ['shape', 'an output of another width', () => linear(device, { x, weight, output: device.zeros([3, 8]) })],
    ['shape', 'an output of other rows', () => linear(device, { x, weight, output: device.zeros([4, 16]) })],
    ['shape', 'x in columns', () => linear(device, { x: device.zeros([32, 3]).transpose(0, 1), weight, output })],
    ['dtype', 'integers', () => linear(device, { x: device.zeros([3, 32], 'i32'), weight, output })],
    ['disposed', 'a weight that is gone', () => linear(device, { x, weight: gone, output: device.zeros([3, 8]) })],
    ['device', 'a weight elsewhere', () => linear(other, { x, weight, output })],
    ['shape', 'a norm of another width', () => linear(device, { x, weight, output, norm: norm(31) })],
    ['unsupported', 'a norm where panels are read', () => linear(device, { x, weight, output, norm: norm(32) })],
    [
      'unsupported',
      'a norm of many rows',
      () => linear(device, { x: device.zeros([9, 32]), weight: inRows, output: device.zeros([9, 8]), norm: norm(32) }),
    ],
    [
      'shape',
      'parts that are no gate and up',
      () => gatedLinear(device, { x, weight: odd, activation: silu, output: device.zeros([3, 7]) }),
    ],
  ])('%s: %s', (code, _, call) => {
    const error = refusal(call)
    expect(error).toMatchObject({ code })
    expect(error.message).toMatch(
      /^(linear|gatedLinear): (mlp\.up|odd|gone|rows) \[\d+, 32\]: .* got x \w+ \[.* output \w+ \[/,
    )
  })
  it('rows that share memory with what is written, and none at all', async () => {
    const both = device.zeros([3, 48])
    const call = () =>
      linear(device, { x: both.slice(1, 0, 32), weight, output: both.slice(1, 32, 48), accumulate: true })
    expect(refusal(call)).toMatchObject({ code: 'argument' })
    linear(device, { x: device.zeros([0, 32]), weight, output: device.zeros([0, 16]) })
  })
})

describe('what embeddings refuse', () => {
  const table = device.zeros([10, 8])
  const [ids, output] = [device.zeros([3], 'i32'), device.zeros([3, 8])]
  it.each<[string, string, () => void]>([
    ['shape', 'an output of another width', () => embed(device, { table, ids, output: device.zeros([3, 9]) })],
    ['shape', 'ids in rows', () => embed(device, { table, ids: device.zeros([3, 1], 'i32'), output })],
    ['dtype', 'ids that are no integers', () => embed(device, { table, ids: device.zeros([3]), output })],
    ['dtype', 'a table of integers', () => embed(device, { table: device.zeros([10, 8], 'i32'), ids, output })],
    ['argument', 'positions without a table', () => embed(device, { table, ids, output, positions: ids })],
    [
      'shape',
      'rows of another number',
      () => gatherRows(device, { x: table, rows: ids, output: device.zeros([4, 8]) }),
    ],
    ['dtype', 'rows that are no integers', () => gatherRows(device, { x: table, rows: device.zeros([3]), output })],
  ])('%s: %s', (code, _, call) => {
    expect(refusal(call)).toMatchObject({ code })
  })
})

function refusal(call: () => unknown): FoveaError {
  try {
    call()
  } catch (error) {
    expect(error).toBeInstanceOf(FoveaError)
    return error as FoveaError
  }
  throw new Error('nothing was thrown')
}
