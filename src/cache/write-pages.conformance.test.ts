import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { devices } from '../../test/numerics/devices.ts'
import { relativeRms } from '../../test/numerics/expect-close.ts'
import { randomNumbers } from '../../test/numerics/random.ts'
import { pageDType, pageWidth } from '../attention/paged/page-pool.ts'
import type { Device, Tensor } from '../device/index.ts'
import { ropeTables } from '../nn/rope-tables.ts'
import { storageBytes } from '../tile/index.ts'
import { createKvPages, type KvPages } from './kv-pages.ts'
import { type WriteCase, writeCases, writePlaces } from './write-pages.cases.ts'
import { type ReferenceNorm, writePagesReference } from './write-pages.reference.ts'
import { writePages } from './write-pages.ts'
import { projectedWidth } from './write-pages-spec.ts'

/** what cos and sin joined from tables may differ by, beside f32's own rounding */
const bound = 1e-6

describe.each(Object.entries(devices))('%s', (_, open) => {
  let device: Device
  beforeAll(async () => {
    device = await open()
  })
  afterAll(() => device?.dispose())

  it.each(writeCases)('$name', async (of) => {
    const { N, H, G, D, Dv = D, pageSize, format, segments, rotaryDim, interleaved, recentTokens } = of
    const random = randomNumbers(7)
    const { pages: count, slots, recent, positions } = writePlaces(of, random)
    const numbers = (n: number) => Float64Array.from({ length: n }, () => Math.fround(random()))
    const { projected = 'all' } = of
    const width = projectedWidth(projected, { numHeads: H, numKvHeads: G, headDim: D, valueDim: Dv })
    const keysAsValues = projected === 'queriesAndKeys' ? { eps: 1e-5 } : null
    const qkv = numbers(N * width)
    const inverseFrequencies = Array.from({ length: (rotaryDim ?? 0) / 2 }, (_, i) => 1e4 ** (-i / D))
    const rope = rotaryDim === null ? null : { inverseFrequencies, attentionFactor: 1.25, interleaved }
    const norm = (over: 'head' | 'all' | null, heads: number): ReferenceNorm | null =>
      over && { over, weight: numbers(over === 'all' ? heads * D : D), eps: 1e-5, offset: of.offset }
    const [queryNorm, keyNorm] = [norm(of.queryNorm, H), norm(of.keyNorm, G)]
    const expected = writePagesReference({ N, H, G, D, Dv, qkv, positions, rope, queryNorm, keyNorm, keysAsValues })

    const spec = { format, pages: count, pageSize, numKvHeads: G, headDim: D, valueDim: Dv }
    const pageBytes = pageSize * G * pageWidth(format, Math.max(D, Dv)) * storageBytes[pageDType(format)]
    const pages = createKvPages(
      device,
      { ...spec, ...(recentTokens > 0 && { rows: 2, recentTokens }) },
      { maxBindingBytes: Math.ceil(count / segments) * pageBytes },
    )
    expect(pages.segments).toBe(segments)
    const f32 = (data: Float64Array, shape: number[]) => device.tensor(Float32Array.from(data), shape)
    const i32 = (data: readonly number[]) => device.tensor(Int32Array.from(data), [N])
    const tables = rope && rotaryDim ? ropeTables({ inverseFrequencies, attentionFactor: 1.25, rotaryDim }, 4096) : null
    const query = f32(new Float64Array(N * H * D).fill(Number.NaN), [N, H, D])
    writePages(binding(device, of.buffers), {
      qkv: f32(qkv, [N, width]),
      positions: i32(positions),
      slots: i32(slots),
      recentSlots: i32(recent),
      rope: tables && {
        tables: { ...tables, table: device.tensor(tables.data, [tables.rows, 2 * tables.pairs]) },
        interleaved,
      },
      queryNorm: queryNorm && { ...queryNorm, weight: f32(queryNorm.weight, [queryNorm.weight.length]) },
      keyNorm: keyNorm && { ...keyNorm, weight: f32(keyNorm.weight, [keyNorm.weight.length]) },
      changes: { valueNormEps: keysAsValues?.eps },
      ...{ pages, query, projected },
    })
    expect(relativeRms((await query.read()) as Float32Array, expected.query)).toBeLessThan(bound)
    for (const side of ['key', 'value'] as const) {
      // where queries alone are projected nothing is written to the pages
      await expectPages(of, pages, side, expected[side], projected === 'queries' ? [] : slots)
      if (pages.recent) await expectRecent(of, pages.recent, side, expected[side], recent)
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

/** Every slot of the pages: what a token wrote there, rounded as its format says, and 0 where none did. */
async function expectPages(
  of: WriteCase,
  pages: KvPages,
  side: 'key' | 'value',
  x: Float64Array,
  slots: readonly number[],
) {
  const { G, pageSize, format } = of
  const D = side === 'key' ? of.D : (of.Dv ?? of.D)
  const pools = await Promise.all((side === 'key' ? pages.keys : pages.values).map((tensor) => tensor.read()))
  const scales = await Promise.all(pages.scales.map((tensor) => tensor.read()))
  for (let slot = 0; slot < pages.pages * pageSize; slot++) {
    const [page, token] = [Math.floor(slot / pageSize), slot % pageSize]
    const [s, inSegment] = [Math.floor(page / pages.pagesPerSegment), page % pages.pagesPerSegment]
    const pool = pools[s] as ArrayLike<number>
    const n = slots.indexOf(slot)
    for (let g = 0; g < G; g++) {
      const at = (inSegment * pageSize + token) * G + g
      const head = n < 0 ? new Float64Array(D) : x.subarray((n * G + g) * D, (n * G + g + 1) * D)
      const scale = scales[s]?.[((inSegment * 2 + (side === 'key' ? 0 : 1)) * G + g) * pageSize + token] ?? 1
      const largest = head.reduce((most, v) => Math.max(most, Math.abs(v)), 0)
      for (let d = 0; d < D; d++) {
        let got = pool[at * D + d] as number
        if (format === 'q4') {
          const byte = pool[at * (D / 2) + (d % (D / 2))] as number
          got = n < 0 ? byte : (d < D / 2 ? byte & 15 : byte >> 4) - 8
        }
        const wanted = head[d] as number
        const near = 4 * bound * largest
        // half a step; the largest of the other sign may be cut off at 7 of 8 steps
        const tolerance =
          format === 'q8'
            ? largest / 254 + near
            : format === 'q4'
              ? largest / 16 + near
              : roundingOf(format, wanted) + near
        const cut = format === 'q4' && Math.abs(wanted) > (7.5 / 8) * largest ? largest / 8 + near : tolerance
        const value = format === 'q8' || format === 'q4' ? got * scale : got
        if (!(Math.abs(value - wanted) <= cut))
          throw new Error(`${side} of token ${n}, head ${g}, element ${d}: ${value}, expected ${wanted} ± ${cut}`)
      }
    }
  }
}

/** How far a number may be from its rounding: half a unit in its last place. */
function roundingOf(format: 'f32' | 'f16' | 'bf16', x: number): number {
  const bits = { f32: 24, f16: 11, bf16: 8 }[format]
  return Math.abs(x) * 2 ** -bits + 1e-7
}

async function expectRecent(
  of: WriteCase,
  recent: Tensor,
  side: 'key' | 'value',
  x: Float64Array,
  at: readonly number[],
) {
  const { G, recentTokens } = of
  const D = side === 'key' ? of.D : (of.Dv ?? of.D)
  const [, , , , stored = D] = recent.shape
  const ring = (await recent.read()) as Float32Array
  const [got, wanted]: [number[], number[]] = [[], []]
  for (let slot = 0; slot < 2 * recentTokens; slot++) {
    const [row, place] = [Math.floor(slot / recentTokens), slot % recentTokens]
    const n = at.indexOf(slot)
    for (let i = 0; i < G * stored; i++) {
      const [g, d] = [Math.floor(i / stored), i % stored]
      got.push(ring[((row * 2 + (side === 'key' ? 0 : 1)) * recentTokens + place) * G * stored + i] as number)
      wanted.push(n < 0 || d >= D ? 0 : (x[(n * G + g) * D + d] as number))
    }
  }
  expect(relativeRms(got, wanted)).toBeLessThan(bound)
}
