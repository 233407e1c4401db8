import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { relativeRms } from '../../../test/numerics/expect-close.ts'
import { randomNumbers } from '../../../test/numerics/random.ts'
import { type Device, openDevice, type Tensor } from '../../device/index.ts'
import { attention } from '../attention.ts'
import { attentionBackward } from '../attention-backward.ts'
import type { MaskMod, ScoreMod } from '../hooks.ts'
import { alibi, denseBias, relativeTable } from '../scores/index.ts'
import { prepareTrainableAttention } from '../trainable-attention.ts'
import { chunksOf } from './pair-chunks.ts'

let device: Device
beforeAll(async () => {
  device = await openDevice('wasm', { wasm: { threads: 2 } })
})
afterAll(() => device.dispose())

const next = randomNumbers(7)
const random = (...shape: number[]): Tensor =>
  device.tensor(Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, next), shape)

// more pairs than one chunk holds, and a mask that gives each head work of its own
const [heads, queries, keys, width] = [2, 1100, 1200, 4]
const allowed = (q: number, k: number, head: number) => k <= q + 8 * head

describe('more pairs than a chunk', () => {
  test('a table and a bias, twice the same', async () => {
    const [query, key, value, dOutput] = [
      random(1, queries, heads, width),
      random(1, keys, heads, width),
      random(1, keys, heads, width),
      random(1, queries, heads, width),
    ]
    const [table, bias] = [random(heads, 2100), random(heads, queries, keys)]
    const [inTable, inBias] = [relativeTable(table, 900), denseBias(bias)]
    const scoreMod: ScoreMod = (at) => inBias({ ...at, score: inTable(at) })
    const options = {
      scoreMod,
      maskMod: (({ q, k, head }) => k.le(q.add(head.mul(8)))) satisfies MaskMod,
    }
    const forward = await attention(device, { query, key, value, ...options })
    const backward = async () => {
      const { dCaptured } = await attentionBackward(device, { query, key, value, ...options, ...forward, dOutput })
      return Promise.all(
        [table, bias].map((tensor) => (dCaptured.get(tensor) as Tensor).read() as Promise<Float32Array>),
      )
    }
    const [dTable, dBias] = (await backward()) as [Float32Array, Float32Array]
    const [Q, K, V, dO, T, X] = (await Promise.all(
      [query, key, value, dOutput, table, bias].map((x) => x.read()),
    )) as Float32Array[]
    const wanted = { table: new Float64Array(table.size), bias: new Float64Array(bias.size) }
    const dot = (a: Float32Array | undefined, i: number, b: Float32Array | undefined, j: number) => {
      let sum = 0
      for (let d = 0; d < width; d++) sum += (a?.[i * width + d] as number) * (b?.[j * width + d] as number)
      return sum
    }
    for (let h = 0; h < heads; h++)
      for (let t = 0; t < queries; t++) {
        const [p, dP] = [new Float64Array(keys), new Float64Array(keys)]
        let [total, delta] = [0, 0]
        for (let s = 0; s < keys; s++) {
          if (!allowed(t, s, h)) continue
          const at = s - t + 900
          const score =
            dot(Q, t * heads + h, K, s * heads + h) / 2 + (at >= 0 && at < 2100 ? (T?.[h * 2100 + at] as number) : 0)
          p[s] = Math.exp(score + (X?.[(h * queries + t) * keys + s] as number))
          dP[s] = dot(dO, t * heads + h, V, s * heads + h)
          total += p[s] as number
          delta += (p[s] as number) * (dP[s] as number)
        }
        for (let s = 0; s < keys; s++) {
          const dS = ((p[s] as number) / total) * ((dP[s] as number) - delta / total)
          wanted.bias[(h * queries + t) * keys + s] = dS
          const at = s - t + 900
          if (at >= 0 && at < 2100) wanted.table[h * 2100 + at]! += dS
        }
      }
    expect(relativeRms(dTable, wanted.table)).toBeLessThan(2e-6)
    expect(relativeRms(dBias, wanted.bias)).toBeLessThan(2e-6)
    const again = await backward()
    for (const [i, numbers] of [dTable, dBias].entries())
      expect(Buffer.compare(Buffer.from(numbers.buffer), Buffer.from((again[i] as Float32Array).buffer))).toBe(0)
  })

  test('chunks cover every row of every head once', () => {
    const sequences = [
      { batch: 0, qBase: 0, qLength: 70, kBase: 0, kLength: 50 },
      { batch: 1, qBase: 70, qLength: 0, kBase: 50, kLength: 30 },
      { batch: 2, qBase: 70, qLength: 33, kBase: 80, kLength: 60 },
    ]
    for (const headsPerItem of [1, 3])
      for (const budget of [100, 16 * 60, 50 * 60, 200 * 60, 1e6]) {
        const { chunks, size } = chunksOf({ headsPerItem } as Parameters<typeof chunksOf>[0], sequences, 3, 16, budget)
        const seen = new Set<string>()
        for (const { sequence, headFrom, headTo, qFrom, qTo, itemCount, headsPerItem: y } of chunks) {
          expect(headTo - headFrom).toBeLessThanOrEqual(size[0])
          expect(qTo - qFrom).toBeLessThanOrEqual(size[1])
          expect(itemCount * y).toBe(Math.ceil((qTo - qFrom) / 16) * (headTo - headFrom))
          for (let head = headFrom; head < headTo; head++)
            for (let q = qFrom; q < qTo; q++) {
              const key = `${sequence.batch} ${head} ${q}`
              expect(seen.has(key)).toBe(false)
              seen.add(key)
            }
        }
        expect(seen.size).toBe(3 * (70 + 33))
      }
  })
})

describe('what is asked for', () => {
  test('gradients of some tensors, added to nothing that was there; refusals name what is wrong', async () => {
    const tensors = { query: random(1, 9, 2, 4), key: random(1, 9, 2, 4), value: random(1, 9, 2, 4) }
    const [slopes, table] = [random(2), random(2, 17)]
    const [inSlopes, inTable] = [alibi(slopes), relativeTable(table, 8)]
    const prepared = await prepareTrainableAttention(device, {
      ...tensors,
      scoreMod: (at) => inTable({ ...at, score: inSlopes(at) }),
    })
    expect(prepared.captured).toEqual([slopes, table])
    const [output, lse, dOutput] = [device.empty([1, 9, 2, 4]), device.empty([1, 2, 9]), random(1, 9, 2, 4)]
    prepared.forward({ ...tensors, output, lse })
    const gradients = () => ({
      dQuery: device.empty([1, 9, 2, 4]),
      dKey: device.empty([1, 9, 2, 4]),
      dValue: device.empty([1, 9, 2, 4]),
    })
    const run = (dCaptured: ReadonlyMap<Tensor, Tensor>) =>
      prepared.backward({ ...tensors, output, lse, dOutput, ...gradients(), dCaptured })
    const full = device.tensor(new Float32Array(2).fill(Number.NaN), [2])
    run(new Map([[slopes, full]]))
    const both = new Map([slopes, table].map((tensor) => [tensor, device.empty(tensor.shape)] as const))
    run(both)
    const [alone, together, ofTable] = await Promise.all([
      full.read(),
      both.get(slopes)?.read(),
      both.get(table)?.read(),
    ])
    expect(alone).toEqual(together)
    expect(alone.every(Number.isFinite)).toBe(true)
    // slope · (k − q) is the table that rises by 1
    for (const head of [0, 1]) {
      const sum = Array.from({ length: 17 }, (_, n) => (n - 8) * (ofTable?.[head * 17 + n] as number)).reduce(
        (a, b) => a + b,
      )
      expect(sum).toBeCloseTo(alone[head] as number, 5)
    }
    expect(() => run(new Map([[output, full]]))).toThrow(
      /dCaptured names a tensor of floats that scoreMod does not read/,
    )
    expect(() => run(new Map([[table, full]]))).toThrow(
      /the gradient of a captured tensor \[2, 17\] must be of its shape, got \[2\]/,
    )
    expect(() => run(new Map([[slopes, device.tensor(Int32Array.of(1, 2), [2])]]))).toThrow(/must be f32, got i32/)
    prepared.dispose()
  })

  test('what was prepared with one tensor serves another like it, bit for bit', async () => {
    const tensors = { query: random(1, 33, 2, 4), key: random(1, 33, 2, 4), value: random(1, 33, 2, 4) }
    const dOutput = random(1, 33, 2, 4)
    const [slopes, table, ids] = [
      random(2),
      random(2, 67),
      device.tensor(
        Int32Array.from({ length: 33 }, (_, i) => i),
        [33],
      ),
    ]
    // views, as of weights that lie in one memory
    const memory = random(64 + 134)
    const [otherSlopes, otherTable] = [memory.slice(0, 0, 2), memory.view({ shape: [2, 67], offset: 64 })]
    const prepare = (slope: Tensor, row: Tensor) =>
      prepareTrainableAttention(device, {
        ...tensors,
        scoreMod: ({ score, head, q, k }) => score.mul(slope.at(head)).add(row.at(head, ids.at(q).sub(k).add(33))),
      })
    const run = async (
      prepared: Awaited<ReturnType<typeof prepare>>,
      replaced?: ReadonlyMap<Tensor, Tensor>,
    ): Promise<readonly (readonly number[])[]> => {
      const [output, lse] = [device.empty([1, 33, 2, 4]), device.empty([1, 2, 33])]
      const [dQuery, dKey, dValue] = [0, 1, 2].map(() => device.empty([1, 33, 2, 4])) as [Tensor, Tensor, Tensor]
      const dCaptured = new Map(prepared.captured.map((tensor) => [tensor, device.empty(tensor.shape)] as const))
      const gradients = { dOutput, dQuery, dKey, dValue, dCaptured }
      // kept by a recording too
      const recording = device.record(() => {
        prepared.forward({ ...tensors, output, lse }, replaced)
        prepared.backward({ ...tensors, output, lse, ...gradients }, replaced)
      })
      recording.run()
      const all = [output, lse, dQuery, dKey, dValue, ...dCaptured.values()]
      const read = await Promise.all(all.map(async (tensor) => [...(await tensor.read())]))
      recording.dispose()
      return read
    }
    const [first, second] = [await prepare(slopes, table), await prepare(otherSlopes, otherTable)]
    const replaced = new Map([
      [slopes, otherSlopes],
      [table, otherTable],
    ])
    const [own, inPlace, wanted] = [await run(first), await run(first, replaced), await run(second)]
    expect(inPlace).toEqual(wanted)
    expect(own[0]).not.toEqual(wanted[0])
    // some of them
    const [half, alone] = [await run(first, new Map([[slopes, otherSlopes]])), await prepare(otherSlopes, table)]
    expect(half).toEqual(await run(alone))
    await expect(run(first, new Map([[ids, ids]]))).rejects.toThrow(
      /replaced names a tensor of floats that scoreMod does not/,
    )
    await expect(run(first, new Map([[slopes, random(3)]]))).rejects.toThrow(
      /replaces a captured f32 \[2\] must be like it, got f32 \[3\]/,
    )
    await expect(run(first, new Map([[slopes, device.empty([2], 'f16')]]))).rejects.toThrow(/got f16 \[2\]/)
    for (const prepared of [first, second, alone]) prepared.dispose()
  })

  test('what has no gradient is refused when it is prepared', async () => {
    const tensors = { query: random(1, 9, 2, 4), key: random(1, 9, 2, 4), value: random(1, 9, 2, 4) }
    const table = random(40)
    await expect(
      prepareTrainableAttention(device, {
        ...tensors,
        scoreMod: ({ score }) => score.add(table.at(score.cast('i32'))),
      }),
    ).rejects.toThrow(/at an index made from the score/)
  })
})
