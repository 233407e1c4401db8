import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { devices } from '../../test/numerics/devices.ts'
import { expectClose, relativeRms } from '../../test/numerics/expect-close.ts'
import { randomNumbers } from '../../test/numerics/random.ts'
import type { Device, Tensor } from '../device/index.ts'
import { dequantizeRows, quantizeMatrix } from './block-formats/matrix-values.ts'
import { headLinear, headWeightBytes, placeHeadWeight, sumHeadRows } from './head-weight.ts'
import type { WeightDType } from './weight-data.ts'

const cases: readonly { N: number; H: number; split: number; rest: number; r: number; dtype: WeightDType }[] = [
  { N: 1, H: 3, split: 12, rest: 8, r: 20, dtype: 'f32' },
  { N: 3, H: 2, split: 24, rest: 40, r: 36, dtype: 'f16' },
  { N: 19, H: 4, split: 16, rest: 16, r: 64, dtype: 'bf16' },
  { N: 70, H: 1, split: 30, rest: 7, r: 32, dtype: 'q8_0' },
  { N: 1, H: 2, split: 128, rest: 128, r: 512, dtype: 'q4_0' },
]

describe.each(Object.entries(devices))('%s', (_, open) => {
  let device: Device
  beforeAll(async () => {
    device = await open()
  })
  afterAll(() => device?.dispose())

  it.each(cases)('$N tokens, $H heads of $split + $rest × $r, $dtype', async ({ N, H, split, rest, r, dtype }) => {
    const random = randomNumbers(11)
    const numbers = (n: number) => Float32Array.from({ length: n }, () => random())
    const rows = H * (split + rest)
    const matrix = quantizeMatrix(numbers(rows * r), rows, r, dtype)
    const before = device.memory.allocated
    const weight = placeHeadWeight(device, { name: 'up', matrix, numHeads: H, split })
    // WebGPU rounds what a tensor takes
    if (device.kind !== 'webgpu') expect(device.memory.allocated - before).toBe(weight.byteLength)
    expect(weight.byteLength).toBe(headWeightBytes(dtype, rows, r))
    const w = dequantizeRows(matrix)
    const [down, up] = [numbers(N * H * (split + 5)), numbers(N * H * r)]
    // views of wider rows, as the decoder has them
    const query = device.tensor(new Float32Array(N * H * (r + 4)).fill(9), [N, H, r + 4])
    const absorbed = query.slice(2, 0, r)
    const x = device.tensor(down, [N, H, split + 5]).slice(2, 0, split)
    sumHeadRows(device, { x, weight: weight.first, output: absorbed })
    const expanded = device.empty([N, H, rest])
    headLinear(device, { x: device.tensor(up, [N, H, r]), weight: weight.second, output: expanded })
    const at = (h: number, row: number, c: number) => w[(h * (split + rest) + row) * r + c] as number
    const wantedRows = reference(
      N,
      H,
      r,
      split,
      (n, h, c, j) => (down[(n * H + h) * (split + 5) + j] as number) * at(h, j, c),
    )
    const wantedUp = reference(N, H, rest, r, (n, h, i, c) => (up[(n * H + h) * r + c] as number) * at(h, split + i, c))
    // f16 holds quants of 4 and 8 bits times their scales to 11 bits
    const half = dtype === 'q8_0' || dtype === 'q4_0'
    for (const [tensor, expected] of [
      [absorbed, wantedRows],
      [expanded, wantedUp],
    ] as readonly [Tensor, Float64Array][]) {
      const got = (await tensor.read()) as Float32Array
      if (half) expect(relativeRms(got, expected)).toBeLessThan(5e-4)
      else expectClose({ name: 'product', got, expected, naive: expected.map(Math.fround), dtype: 'f32', seed: 11 })
    }
    const padding = (await query.slice(2, r, r + 4).read()) as Float32Array
    expect(padding.every((value) => value === 9)).toBe(true)
    weight.dispose()
  })

  it('refuses rows that are not those of heads', () => {
    const matrix = quantizeMatrix(new Float32Array(10 * 4), 10, 4, 'f32')
    for (const [numHeads, split] of [
      [3, 1],
      [2, 5],
      [2, 0],
    ] as const)
      expect(() => placeHeadWeight(device, { name: 'up', matrix, numHeads, split })).toThrow(
        /placeHeadWeight: up \[10, 4\] cannot be/,
      )
  })
})

function reference(
  N: number,
  H: number,
  wide: number,
  depth: number,
  term: (n: number, h: number, i: number, j: number) => number,
) {
  return Float64Array.from({ length: N * H * wide }, (_, at) => {
    const [n, h, i] = [Math.floor(at / (H * wide)), Math.floor(at / wide) % H, at % wide]
    let sum = 0
    for (let j = 0; j < depth; j++) sum += term(n, h, i, j)
    return sum
  })
}
