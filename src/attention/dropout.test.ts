import { afterAll, beforeAll, expect, test } from 'vitest'
import { type Device, openDevice, type Tensor } from '../device/index.ts'
import { attention } from './attention.ts'
import { sigmoid } from './normalizers/index.ts'

let device: Device
beforeAll(async () => {
  device = await openDevice('interpret')
})
afterAll(() => device.dispose())

/** the generator in plain integers */
function kept(seed: readonly number[], batch: number, head: number, q: number, k: number, rate: number): boolean {
  const mix = (word: number, key = 0) => {
    let x = word >>> 0
    x = Math.imul(x ^ (x >>> 16), 0x7feb352d) ^ key
    x = Math.imul(x ^ (x >>> 15), 0x846ca68b)
    return (x ^ (x >>> 16)) >>> 0
  }
  const [one, two] = seed as [number, number]
  const stir = (start: number) => [batch, head, q].reduce((word, index) => mix(word ^ index), start)
  const first = stir(mix(one + 0x9e3779b9, two))
  const second = stir(mix(two + 0x85ebca6b, one))
  return mix(Math.imul(k, 0x9e3779b9) + first, second) >= Math.floor(rate * 2 ** 32)
}

test('zeros are as frequent as the rate says, and independent of row, column, head, batch and seed', () => {
  const n = 128
  const plane = (seed: readonly number[], batch: number, head: number, rate = 0.5) =>
    Int8Array.from({ length: n * n }, (_, i) => (kept(seed, batch, head, Math.floor(i / n), i % n, rate) ? 1 : -1))
  const share = (rate: number) => plane([3, -7], 0, 0, rate).filter((x) => x < 0).length / n ** 2
  for (const rate of [0.1, 0.5, 0.9])
    expect(Math.abs(share(rate) - rate)).toBeLessThan(4 * Math.sqrt((rate * (1 - rate)) / n ** 2))

  // sums of products of independent signs are normal: their mean square is 1
  const base = plane([3, -7], 0, 0)
  const score = (length: number, a: (i: number) => number, b: (i: number) => number) => {
    let sum = 0
    for (let i = 0; i < length; i++) sum += a(i) * b(i)
    return sum / Math.sqrt(length)
  }
  for (const other of [
    plane([4, -7], 0, 0),
    plane([3, -8], 0, 0),
    plane([-7, 3], 0, 0),
    plane([3, -7], 1, 0),
    plane([3, -7], 0, 1),
  ])
    expect(
      Math.abs(
        score(
          n * n,
          (i) => base[i] as number,
          (i) => other[i] as number,
        ),
      ),
    ).toBeLessThan(4)
  for (const [along, across] of [
    [1, n],
    [n, 1],
  ] as const) {
    let [squares, pairs] = [0, 0]
    for (let a = 0; a < n; a++)
      for (let b = a + 1; b < n; b++, pairs++)
        squares +=
          score(
            n,
            (i) => base[a * across + i * along] as number,
            (i) => base[b * across + i * along] as number,
          ) ** 2
    expect(Math.abs(squares / pairs - 1)).toBeLessThan(4 * Math.sqrt(2 / pairs))
  }
})

const [batch, tokens, heads, width, rate] = [2, 37, 2, 8, 0.3]

function inputs(tokens: number, wave: number): Tensor {
  const size = batch * tokens * heads * width
  return device.tensor(
    Float32Array.from({ length: size }, (_, i) => Math.sin(i * wave)),
    [batch, tokens, heads, width],
  )
}

test('weights are dropped after they were normalised, by the contents of the seed, whatever the tiles', async () => {
  const [query, key, value] = [inputs(tokens, 1.3), inputs(tokens, 0.7), inputs(tokens, 2.1)]
  const [q, k, v] = await Promise.all([query, key, value].map((x) => x.read()))
  const seed = device.tensor(Int32Array.of(0, 0), [2])
  const at = (b: number, t: number, h: number, d: number) => ((b * tokens + t) * heads + h) * width + d
  const expected = (words: readonly number[], weigh: (scores: number[]) => number[]) =>
    Float64Array.from({ length: batch * tokens * heads * width }, (_, i) => {
      const [d, h, t, b] = [
        i % width,
        Math.floor(i / width) % heads,
        Math.floor(i / width / heads) % tokens,
        Math.floor(i / width / heads / tokens),
      ]
      const scores = Array.from({ length: tokens }, (_, s) => {
        let sum = 0
        for (let x = 0; x < width; x++) sum += (q?.[at(b, t, h, x)] as number) * (k?.[at(b, s, h, x)] as number)
        return sum / Math.sqrt(width)
      })
      return weigh(scores).reduce(
        (sum, p, s) => sum + (kept(words, b, h, t, s, rate) ? (p / (1 - rate)) * (v?.[at(b, s, h, d)] as number) : 0),
        0,
      )
    })
  const softly = (scores: number[]) => {
    const e = scores.map(Math.exp)
    const total = e.reduce((a, b) => a + b)
    return e.map((x) => x / total)
  }
  for (const [words, tiling, normalizer] of [
    [[12, -5], { tileQ: 16, tileK: 32, padTo: 4 }, undefined],
    [[-2147483648, 2147483647], { tileQ: 8, tileK: 8, padTo: 4 }, undefined],
    [[12, -5], { tileQ: 16, tileK: 32, padTo: 4 }, sigmoid],
  ] as const) {
    seed.write(Int32Array.from(words))
    const options = normalizer ? { normalizer } : {}
    const { output, lse } = await attention(device, { query, key, value, tiling, dropout: { rate, seed }, ...options })
    const plain = await attention(device, { query, key, value, tiling, ...options })
    const want = expected(words, normalizer ? (scores) => scores.map((s) => 1 / (1 + Math.exp(-s))) : softly)
    const got = await output.read()
    want.forEach((x, i) => {
      expect(Math.abs((got[i] as number) - x)).toBeLessThan(2e-6)
    })
    expect(await lse.read()).toEqual(await plain.lse.read())
  }
})

test('one query drops as many do; a rate of 0 drops nothing', async () => {
  const [query, key, value] = [inputs(1, 1.3), inputs(tokens, 0.7), inputs(tokens, 2.1)]
  const seed = device.tensor(Int32Array.of(1, 2), [2])
  const run = async (rate: number) =>
    (await attention(device, { query, key, value, dropout: { rate, seed } })).output.read()
  const plain = await (await attention(device, { query, key, value })).output.read()
  expect(await run(0)).toEqual(plain)
  expect(await run(0.5)).not.toEqual(plain)
})

test('refuses what is no rate and no seed', async () => {
  const [query, key, value] = [inputs(1, 1.3), inputs(tokens, 0.7), inputs(tokens, 2.1)]
  const refuses = (dropout: { rate: number; seed: Tensor }, message: RegExp) =>
    expect(attention(device, { query, key, value, dropout })).rejects.toThrow(message)
  const seed = device.tensor(Int32Array.of(1, 2), [2])
  for (const rate of [1, -0.1, Number.NaN]) await refuses({ rate, seed }, /dropout.rate must be at least 0 and below 1/)
  await refuses({ rate: 0.5, seed: device.empty([2]) }, /dropout.seed must be i32, got f32/)
  await refuses({ rate: 0.5, seed: device.tensor(Int32Array.of(1), [1]) }, /dropout.seed must be \[2\], got \[1\]/)
})
