import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { devices } from '../../test/numerics/devices.ts'
import { relativeRms } from '../../test/numerics/expect-close.ts'
import { randomNumbers } from '../../test/numerics/random.ts'
import type { PageFormat } from '../attention/paged/page-pool.ts'
import type { Device, Tensor } from '../device/index.ts'
import { ropeTables } from '../nn/rope-tables.ts'
import { createKvPages } from './kv-pages.ts'
import { writeLatent } from './write-latent.ts'
import { writePagesReference } from './write-pages.reference.ts'

interface Case {
  readonly name: string
  readonly H: number
  readonly r: number
  readonly d: number
  readonly format?: PageFormat
  readonly rotaryDim?: number | null
  readonly interleaved?: boolean
  readonly norm?: boolean
  readonly recentTokens?: number
  readonly buffers?: number
}

const cases: readonly Case[] = [
  { name: 'norm and rope', H: 3, r: 24, d: 8 },
  { name: 'pairs side by side, no norm', H: 5, r: 20, d: 12, interleaved: true, norm: false },
  { name: 'no rope, eight buffers', H: 2, r: 16, d: 4, rotaryDim: null, buffers: 8 },
  { name: 'part of the key turned, f16, eight buffers', H: 1, r: 40, d: 16, rotaryDim: 8, format: 'f16', buffers: 8 },
  { name: 'q8, recent tokens, eight buffers', H: 2, r: 64, d: 16, format: 'q8', recentTokens: 5, buffers: 8 },
  { name: 'q4, recent tokens', H: 2, r: 512, d: 64, format: 'q4', recentTokens: 4, interleaved: true },
]
const [N, pageSize] = [11, 4]
/** relative error of a format's rounding, of numbers of which the largest is about three times the usual */
const bounds: Readonly<Record<PageFormat, number>> = { f32: 1e-6, f16: 5e-4, bf16: 4e-3, q8: 0.008, q4: 0.12 }

describe.each(Object.entries(devices))('%s', (_, open) => {
  let device: Device
  beforeAll(async () => {
    device = await open()
  })
  afterAll(() => device?.dispose())

  it.each(cases)('$name', async (of) => {
    const { H, r, d, format = 'f32', rotaryDim = d, interleaved = false, norm = true, recentTokens = 0 } = of
    const random = randomNumbers(3)
    const numbers = (n: number) => Float64Array.from({ length: n }, () => Math.fround(random()))
    const [rotary, compressed, weight] = [numbers(N * H * d), numbers(N * (r + d)), numbers(r)]
    const positions = Array.from({ length: N }, (_, n) => (n * 397) % 1000)
    // every third token is dropped, the rest lie from the last slot down
    const slots = Array.from({ length: N }, (_, n) => (n % 3 === 2 ? -1 : 15 - n))
    const recent = Array.from({ length: N }, (_, n) => (n >= N - recentTokens ? recentTokens + (n % recentTokens) : -1))
    const inverseFrequencies = Array.from({ length: (rotaryDim ?? 0) / 2 }, (_, i) => 1e4 ** (-i / d))
    const rope = rotaryDim === null ? null : { inverseFrequencies, attentionFactor: 1, interleaved }
    const tables = rope && rotaryDim ? ropeTables({ inverseFrequencies, attentionFactor: 1, rotaryDim }, 1024) : null

    const row = (n: number) => compressed.subarray(n * (r + d), (n + 1) * (r + d))
    const key = Float64Array.from(Array.from({ length: N }, (_, n) => [...row(n).subarray(r)]).flat())
    const turned = (x: Float64Array, heads: number) =>
      writePagesReference({
        ...{ N, H: heads, G: 0, D: d, Dv: d, qkv: x, positions, rope, queryNorm: null, keyNorm: null },
      }).query
    const [queryTurned, keyTurned] = [turned(rotary, H), turned(key, 1)]
    const latent = Float64Array.from({ length: N * r }, (_, i) => {
      const c = row(Math.floor(i / r)).subarray(0, r)
      const mean = c.reduce((sum, x) => sum + x * x, 0) / r
      return norm
        ? ((c[i % r] as number) / Math.sqrt(mean + 1e-6)) * (1 + (weight[i % r] as number))
        : (c[i % r] as number)
    })

    const f32 = (data: Float64Array, shape: number[]) => device.tensor(Float32Array.from(data), shape)
    const i32 = (data: readonly number[]) => device.tensor(Int32Array.from(data), [N])
    const spec = { format, pages: 4, pageSize, numKvHeads: 1, headDim: r + d, valueDim: r, latent: true }
    const pages = createKvPages(device, { ...spec, ...(recentTokens > 0 && { rows: 2, recentTokens }) })
    const query = f32(new Float64Array(N * H * (r + d)).fill(7), [N, H, r + d])
    writeLatent(binding(device, of.buffers ?? 99), {
      compressed: f32(compressed, [N, r + d]),
      rotary: f32(rotary, [N, H, d]),
      ...{ positions: i32(positions), slots: i32(slots), recentSlots: i32(recent), pages, query },
      rope: tables && {
        tables: { ...tables, table: device.tensor(tables.data, [tables.rows, 2 * tables.pairs]) },
        interleaved,
      },
      norm: norm ? { eps: 1e-6, offset: 1, weight: f32(weight, [r]) } : null,
    })

    const written = (await query.read()) as Float32Array
    const [others, last]: [number[], number[]] = [[], []]
    for (const [i, x] of written.entries()) (i % (r + d) < r ? others : last).push(x)
    expect(others.every((x) => x === 7)).toBe(true)
    expect(relativeRms(last, queryTurned)).toBeLessThan(1e-6)
    const sides = [
      { tensors: pages.keys, side: 0, width: d, wanted: keyTurned },
      { tensors: pages.values, side: 1, width: r, wanted: latent },
    ]
    for (const { tensors, side, width, wanted } of sides) {
      const stored = await readPages(tensors[0] as Tensor, pages.scales[0], side, format, width)
      const expected = new Float64Array(16 * width)
      slots.forEach((slot, n) => {
        if (slot >= 0) expected.set(wanted.subarray(n * width, (n + 1) * width), slot * width)
      })
      expect(relativeRms(stored, expected)).toBeLessThan(bounds[format])
      if (!pages.recent) continue
      const ring = (await pages.recent.read()) as Float32Array
      const stride = pages.recent.shape.at(-1) as number
      recent.forEach((place, n) => {
        if (place < 0) return
        const at = ((2 + side) * recentTokens + (place - recentTokens)) * stride
        expect(relativeRms(ring.subarray(at, at + width), wanted.subarray(n * width, (n + 1) * width))).toBeLessThan(
          1e-6,
        )
      })
    }
  })
})

/** The device as one that binds so many buffers. */
function binding(device: Device, maxStorageBuffersPerShaderStage: number): Device {
  const { kind, info } = device
  const limits = { ...info.limits, maxStorageBuffersPerShaderStage }
  const run: Device['run'] = (kernel, tensors) => {
    expect(Object.keys(tensors).length).toBeLessThanOrEqual(maxStorageBuffersPerShaderStage)
    device.run(kernel, tensors)
  }
  return { kind, info: { ...info, limits }, run } as unknown as Device
}

/** Rows of all slots as numbers. */
async function readPages(tensor: Tensor, scales: Tensor | undefined, side: number, format: PageFormat, width: number) {
  const data = (await tensor.read()) as ArrayLike<number>
  const factors = await scales?.read()
  return Float64Array.from({ length: 16 * width }, (_, i) => {
    const [slot, c] = [Math.floor(i / width), i % width]
    const factor = factors?.[(Math.floor(slot / pageSize) * 2 + side) * pageSize + (slot % pageSize)] ?? 1
    if (format !== 'q4') return (data[i] as number) * factor
    const byte = data[slot * (width / 2) + (c % (width / 2))] as number
    return factor === 0 ? 0 : ((c < width / 2 ? byte & 15 : byte >> 4) - 8) * factor
  })
}
