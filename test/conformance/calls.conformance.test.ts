import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { attention, mergeStates } from '../../src/attention/index.ts'
import { causal } from '../../src/attention/masks/index.ts'
import { flashReference } from '../../src/attention/softmax/flash.reference.ts'
import type { Device, Tensor } from '../../src/device/index.ts'
import { devices } from '../numerics/devices.ts'
import { randomNumbers } from '../numerics/random.ts'
import { closenessFault } from './closeness.ts'
import { naiveAttention } from './naive-attention.ts'

const seed = 5
const shape = { batch: 1, queries: 37, keys: 50, numHeads: 2, numKvHeads: 1, headDim: 20, valueDim: 12 }
const next = randomNumbers(seed)
const random = (count: number) => Float32Array.from({ length: count }, () => 2 * next())
const input = {
  ...shape,
  query: random(37 * 2 * 20),
  key: random(50 * 20),
  value: random(50 * 12),
  allowed: ({ q, k }: { q: number; k: number }) => k <= q,
}
const expected = flashReference(input)
const naive = naiveAttention(input, 'f32')

async function faults(output: Tensor, lse: Tensor): Promise<(string | null)[]> {
  const dtype = 'f32'
  return [
    closenessFault({ name: 'output', dtype, got: await output.read(), expected: expected.output, naive: naive.output }),
    closenessFault({ name: 'lse', dtype, got: await lse.read(), expected: expected.lse, naive: naive.lse }),
  ]
}

/** `data` [1, tokens, heads, width] as a view of a larger tensor full of NaN: odd offsets and strides, nothing aligned */
function inside(device: Device, data: Float32Array, tokens: number, heads: number, width: number): Tensor {
  const [tokenStride, headStride, offset] = [heads * (width + 3) + 5, width + 3, 7]
  const around = new Float32Array(offset + tokens * tokenStride).fill(Number.NaN)
  for (let t = 0; t < tokens; t++)
    for (let h = 0; h < heads; h++)
      around.set(
        data.subarray((t * heads + h) * width, (t * heads + h + 1) * width),
        offset + t * tokenStride + h * headStride,
      )
  const strides = [tokens * tokenStride, tokenStride, headStride, 1]
  return device.tensor(around, [around.length]).view({ shape: [1, tokens, heads, width], strides, offset })
}

describe.each(Object.entries(devices))(`calls of attention, seed ${seed}, on %s`, (_, open) => {
  let device: Device
  beforeAll(async () => {
    device = await open()
  })
  afterAll(() => device?.dispose())

  test('tensors that lie unaligned inside others', async () => {
    const query = inside(device, input.query, 37, 2, 20)
    const key = inside(device, input.key, 50, 1, 20)
    const value = inside(device, input.value, 50, 1, 12)
    const output = inside(device, new Float32Array(37 * 2 * 12).fill(Number.NaN), 37, 2, 12)
    const { lse } = await attention(device, { query, key, value, maskMod: causal, output })
    expect(await faults(output, lse)).toEqual([null, null])
    // what lies between the rows is as it was
    const gaps = await output.view({ shape: [36, 5], strides: [35, 1], offset: 7 + 30 }).read()
    expect(gaps.every(Number.isNaN)).toBe(true)
  })

  test('mergeStates of two shares of the keys, one of them empty for some queries', async () => {
    const query = device.tensor(input.query, [1, 37, 2, 20])
    const key = device.tensor(input.key, [1, 50, 1, 20])
    const value = device.tensor(input.value, [1, 50, 1, 12])
    const share = (from: number, to: number) =>
      attention(device, {
        query,
        key: key.slice(1, from, to),
        value: value.slice(1, from, to),
        maskMod: ({ q, k }) => q.ge(k.add(from)),
      })
    const merged = mergeStates(device, await share(0, 21), await share(21, 50))
    expect(await faults(merged.output, merged.lse)).toEqual([null, null])
  })

  test('no keys: output 0, lse −∞', async () => {
    for (const queries of [20, 1]) {
      const { output, lse } = await attention(device, {
        query: device.tensor(random(queries * 16), [1, queries, 2, 8]),
        key: device.empty([1, 0, 1, 8]),
        value: device.empty([1, 0, 1, 8]),
      })
      expect((await output.read()).every((x) => x === 0)).toBe(true)
      expect((await lse.read()).every((x) => x === Number.NEGATIVE_INFINITY)).toBe(true)
    }
  })

  test('a block mask whose blocks cut through tiles', async () => {
    const query = device.tensor(input.query, [1, 37, 2, 20])
    const key = device.tensor(input.key, [1, 50, 1, 20])
    const value = device.tensor(input.value, [1, 50, 1, 12])
    // the blocks below the diagonal of 5 × 5 blocks are full, those on it ask the mask
    const blocks = Uint8Array.from({ length: 8 * 10 }, (_, i) => 1 + Math.sign(Math.floor(i / 10) - (i % 10)))
    const blockMask = { blockSize: [5, 5] as const, blocks }
    const { output, lse } = await attention(device, { query, key, value, maskMod: causal, blockMask })
    expect(await faults(output, lse)).toEqual([null, null])
  })
})
