import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { devices } from '../../test/numerics/devices.ts'
import type { Device, Tensor } from '../device/index.ts'
import { attention } from './attention.ts'
import { attentionBackward } from './attention-backward.ts'
import { causal, document, slidingWindow } from './masks/index.ts'

// What is infinite or no number where nobody may look: keys behind a mask, and keys and values that are not of the sequence.
const [tokens, width] = [70, 4]
const numbers = (count: number, seed: number) =>
  Float32Array.from({ length: count }, (_, i) => Math.sin(i * 1.7 + seed))
const wild = [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 3e38]

describe.each(['interpret', 'wasm plain', 'wasm relaxed', 'webgpu T0'])('%s', (name) => {
  let device: Device
  beforeAll(async () => {
    device = await (devices[name] as () => Promise<Device>)()
  })
  afterAll(() => device.dispose())
  const tensor = (data: Float32Array) => device.tensor(data, [1, data.length / width, 1, width])
  /** numbers with rows made wild */
  const spoiled = (data: Float32Array, rows: (row: number) => boolean) =>
    data.map((x, i) => (rows(Math.floor(i / width)) ? (wild[i % wild.length] as number) : x))
  const run = async (q: Float32Array, k: Float32Array, v: Float32Array, options: object) => {
    const { output, lse } = await attention(device, { query: tensor(q), key: tensor(k), value: tensor(v), ...options })
    return [...(await output.read()), ...(await lse.read())]
  }
  const [q, k, v] = [numbers(tokens * width, 1), numbers(tokens * width, 2), numbers(tokens * width, 3)]

  it('keys behind causal, window and document masks change nothing', async () => {
    const ids = device.tensor(
      Int32Array.from({ length: tokens }, (_, i) => (i < 40 ? 0 : i < 50 ? 1 : 0)),
      [1, tokens],
    )
    const unseen = (row: number) => row >= 40 && row < 50
    // a query of the spoiled keys' own would see them
    const masks = { future: causal, 'beyond a window': slidingWindow(5), 'other documents': document(ids) }
    for (const [what, maskMod] of Object.entries(masks)) {
      const rows = what === 'other documents' ? unseen : (row: number) => (what === 'future' ? row >= 45 : row < 20)
      const [clean, found] = [await run(q, k, v, { maskMod }), await run(q, spoiled(k, rows), v, { maskMod })]
      const sees = (query: number) =>
        what === 'future' ? query >= 45 : what === 'beyond a window' ? query < 25 : unseen(query)
      for (let i = 0; i < tokens * width; i++)
        if (!sees(Math.floor(i / width))) expect(found[i], `${what}, element ${i}`).toBe(clean[i])
    }
  })

  it('keys and values of other packed sequences, change nothing', async () => {
    const cuSeqlens = Int32Array.from([0, 33, 35, 60, 70])
    const bounds = { cuSeqlensQ: cuSeqlens, cuSeqlensK: cuSeqlens }
    const clean = await run(q, k, v, bounds)
    for (const rows of [(row: number) => row >= 33 && row < 35, (row: number) => row >= 60]) {
      const found = await run(q, spoiled(k, rows), spoiled(v, rows), bounds)
      for (let i = 0; i < tokens * width; i++)
        if (!rows(Math.floor(i / width))) expect(found[i], `element ${i}`).toBe(clean[i])
    }
  })

  it('keys, values and gradients of other packed sequences change no gradient', async () => {
    const cuSeqlens = Int32Array.from([0, 33, 35, 60, 70])
    const options = { cuSeqlensQ: cuSeqlens, cuSeqlensK: cuSeqlens, maskMod: causal }
    const g = numbers(tokens * width, 4)
    const gradients = async (given: readonly Float32Array[]) => {
      const [query, key, value, dOutput] = given.map(tensor) as [Tensor, Tensor, Tensor, Tensor]
      const { output, lse } = await attention(device, { query, key, value, ...options })
      const found = await attentionBackward(device, { query, key, value, output, lse, dOutput, ...options })
      return await Promise.all([found.dQuery, found.dKey, found.dValue].map((gradient) => gradient.read()))
    }
    const rows = (row: number) => (row >= 33 && row < 35) || row >= 60
    const [clean, found] = [await gradients([q, k, v, g]), await gradients([q, k, v, g].map((x) => spoiled(x, rows)))]
    for (const [n, name] of ['dQuery', 'dKey', 'dValue'].entries())
      for (let i = 0; i < tokens * width; i++)
        if (!rows(Math.floor(i / width))) expect(found[n]?.[i], `${name}, element ${i}`).toBe(clean[n]?.[i])
  })

  // the limit that the docstring of `attention` names: no tile has more than 128 queries
  it('values behind a mask reach rows of their own tiles at most, and all that see them', async () => {
    const [count, wildRow, tile] = [320, 300, 128]
    const [query, key, value, dOutput] = [1, 2, 3, 4].map((seed) => numbers(count * width, seed))
    const run = async (values: Float32Array) => {
      const given = { query: tensor(query as Float32Array), key: tensor(key as Float32Array), value: tensor(values) }
      const { output, lse } = await attention(device, { ...given, maskMod: causal })
      const g = tensor(dOutput as Float32Array)
      const { dQuery } = await attentionBackward(device, { ...given, output, lse, dOutput: g, maskMod: causal })
      return (await Promise.all([output, dQuery, lse].map((result) => result.read()))) as Float32Array[]
    }
    const clean = await run(value as Float32Array)
    for (const x of [Number.NaN, Number.POSITIVE_INFINITY]) {
      const found = await run((value as Float32Array).map((y, i) => (i === wildRow * width + 1 ? x : y)))
      for (const [n, name] of ['output', 'dQuery'].entries())
        for (let i = 0; i < (wildRow - tile) * width; i++)
          expect(found[n]?.[i], `${name} with ${x}, element ${i}`).toBe(clean[n]?.[i])
      for (let row = wildRow; row < count; row++) {
        expect(found[0]?.[row * width + 1], `output with ${x}, row ${row}`).not.toSatisfy(Number.isFinite)
        expect(found[1]?.[row * width], `dQuery with ${x}, row ${row}`).toBeNaN()
      }
      // no other column, and no sum of weights
      for (let i = 0; i < count * width; i++) if (i % width !== 1) expect(found[0]?.[i]).toBe(clean[0]?.[i])
      expect(found[2]).toEqual(clean[2])
    }
  })

  it('what lies behind the keys of a view changes nothing, for many queries and for one', async () => {
    const rows = (row: number) => row >= 50
    const slice = (data: Float32Array) => tensor(data).slice(1, 0, 50)
    for (const queries of [20, 1]) {
      const query = tensor(q.slice(0, queries * width))
      const [clean, found] = await Promise.all(
        [
          [k, v],
          [spoiled(k, rows), spoiled(v, rows)],
        ].map(async ([key, value]) => {
          const given = { query, key: slice(key as Float32Array), value: slice(value as Float32Array) }
          return (await attention(device, given)).output.read()
        }),
      )
      expect([...(found ?? [])]).toEqual([...(clean ?? [])])
    }
  })
})
