import { beforeAll, describe, expect, it } from 'vitest'
import { relativeRms } from '../../../test/numerics/expect-close.ts'
import { fillPages, type PagedTrial, runPaged } from '../../../test/paged/paged-trial.ts'
import { openNullDevice, shaderErrors } from '../../../test/wgsl/null-device.ts'
import { createKvPages, type KvPages } from '../../cache/kv-pages.ts'
import { type Device, openDevice } from '../../device/index.ts'
import { FoveaError } from '../../tile/index.ts'
import type { WgslCapabilities } from '../../wgsl/capabilities.ts'
import { isUnsupported } from '../../wgsl/fragment-config.ts'
import { lowerFragments } from '../../wgsl/fragment-kernel.ts'
import { lowerProgram } from '../../wgsl/lower-program.ts'
import { attention } from '../attention.ts'
import { causalBottomRight } from '../masks/index.ts'
import { pagedAttention } from './paged-attention.ts'
import type { PagedAttentionOptions } from './paged-options.ts'
import { type PagedProgramSpec, pagedProgram } from './paged-program.ts'
import { pagedSplits, pagedTiling } from './paged-tiling.ts'
import { workWidth } from './paged-work.ts'

let device: Device
beforeAll(async () => {
  device = await openDevice('wasm', { wasm: { threads: 1 } })
})

const tiling = { tileQ: 24, tileK: 16, padTo: 8, packHeads: true }
const trial: PagedTrial = {
  ...{ H: 6, G: 2, D: 32, pageSize: 16, tiling },
  sequences: [
    { qLength: 9, kLength: 53 },
    { qLength: 1, kLength: 80 },
    { qLength: 17, kLength: 17 },
  ],
}

describe('laws of paged attention', () => {
  it('paged = contiguous = attention of each sequence by itself', async () => {
    const { H, G, D, sequences } = trial
    const [paged, contiguous] = [await fillPages(device, trial), await fillPages(device, { ...trial, pageSize: 256 })]
    const got = await runPaged(device, trial, paged)
    let from = 0
    for (const [s, { qLength, kLength }] of sequences.entries()) {
      const size = qLength * H * D
      const tensor = (data: Float64Array, shape: number[]) => device.tensor(Float32Array.from(data), shape)
      const { output } = await attention(device, {
        query: tensor(paged.queries.subarray(from, from + size), [1, qLength, H, D]),
        key: tensor(paged.keys[s] as Float64Array, [1, kLength, G, D]),
        value: tensor(paged.values[s] as Float64Array, [1, kLength, G, D]),
        maskMod: causalBottomRight,
      })
      expect(relativeRms(got.subarray(from, from + size), (await output.read()) as Float32Array)).toBeLessThan(1e-6)
      from += size
    }
    // the same numbers from a pool with other garbage between: every bit
    const inOnePage = { ...trial, pageSize: 256 }
    const alone = await Promise.all(
      sequences.map(async (sequence, s) => {
        const one = { ...contiguous, query: contiguous.query.slice(0, offset(s), offset(s) + sequence.qLength) }
        const table = contiguous.pageTable.slice(0, s, s + 1)
        return await runPaged(device, { ...inOnePage, sequences: [sequence] }, { ...one, pageTable: table })
      }),
    )
    const whole = await runPaged(device, inOnePage, contiguous)
    expect([...whole]).toEqual(alone.flatMap((part) => [...part]))
  })
  it('the order of pages changes no bit', async () => {
    // another seed draws another order and other numbers: only the order is taken from it
    const step = await fillPages(device, trial)
    const { pages, pageTable } = step
    const got = await runPaged(device, trial, step)
    const table = (await pageTable.read()) as Int32Array
    const moved = createKvPages(device, { ...shapeOf(pages), format: 'f32' })
    const to = (page: number) => (page * 7 + 3) % pages.pages
    expect(new Set(Array.from({ length: pages.pages }, (_, page) => to(page))).size).toBe(pages.pages)
    for (const side of ['keys', 'values'] as const) {
      const [source, target] = [pages[side][0], moved[side][0]]
      for (let page = 0; page < pages.pages; page++) {
        const part = target?.slice(0, to(page), to(page) + 1)
        part?.write((await source?.slice(0, page, page + 1).read()) as Float32Array)
      }
    }
    pageTable.write(table.map((page) => (page < 0 ? page : to(page))))
    expect([...(await runPaged(device, trial, { ...step, pages: moved }))]).toEqual([...got])
  })
  it('a recording serves longer contexts: the grid stays', async () => {
    const short = { ...trial, sequences: [{ qLength: 1, kLength: 20 }], splits: 4, spare: 4 }
    const step = await fillPages(device, { ...short, sequences: [{ qLength: 1, kLength: 90 }] })
    for (const kLength of [20, 64, 90]) {
      const at = { ...short, sequences: [{ qLength: 1, kLength }] }
      const once = await runPaged(device, { ...at, splits: 1, spare: 0 }, step)
      expect(relativeRms(await runPaged(device, at, step), once)).toBeLessThan(1e-6)
    }
  })
})

function shapeOf({ pages, pageSize, numKvHeads, headDim }: KvPages) {
  return { pages, pageSize, numKvHeads, headDim }
}

function offset(s: number): number {
  return trial.sequences.slice(0, s).reduce((sum, { qLength }) => sum + qLength, 0)
}

describe('tilings and splits', () => {
  const layout = { format: 'f16', pageSize: 64, headDim: 64 } as const
  const request = {
    layout: { ...layout, segments: 1, pagesPerSegment: 9, recentTokens: 0, recentDType: 'f32' },
  } as const
  it('a tile of keys lies in one page where pages are large enough', () => {
    for (const pageSize of [16, 32, 48, 64, 256]) {
      const sized = { layout: { ...request.layout, pageSize }, groupSize: 3, queryDType: 'f32' } as const
      for (const phase of ['prefill', 'decode'] as const) {
        const { tileK } = pagedTiling(device, phase, sized)
        expect(pageSize >= 32 ? pageSize % tileK : 0).toBe(0)
      }
      expect(pagedTiling(device, 'decode', sized)).toMatchObject({ tileQ: 3, packHeads: true })
    }
  })
  it('splits are powers of two that change seldom as contexts grow', () => {
    const counts = Array.from({ length: 300 }, (_, i) =>
      pagedSplits(device, { contexts: [1 + i * 100], numKvHeads: 1, tileK: 64 }),
    )
    expect(counts.every((count, i) => Number.isInteger(Math.log2(count)) && count >= (counts[i - 1] ?? 1))).toBe(true)
    expect(new Set(counts).size).toBeLessThan(6)
    const many = new Array<number>(64).fill(30_000)
    expect(pagedSplits(device, { contexts: many, numKvHeads: 4, tileK: 64 })).toBe(1)
  })
})

describe('matrix units', () => {
  const nvidia: WgslCapabilities = {
    ...{ tier: 3, maxWorkgroupBytes: 49_152, maxInvocations: 1024, maxStorageBuffers: 8 },
    ...{ subgroupMinSize: 32, subgroupMaxSize: 32, subgroupsInStep: true },
    subgroupMatrixConfigs: [{ componentType: 'f16', resultComponentType: 'f32', M: 16, N: 16, K: 16 }],
  }
  const spec: PagedProgramSpec = {
    layout: {
      ...{ format: 'f16', pageSize: 64, headDim: 64, valueDim: 64, latent: false },
      ...{ segments: 1, pagesPerSegment: 9, recentTokens: 0, recentDType: 'f16' },
    },
    ...{ queryDType: 'f16', outputDType: 'f16', groupSize: 4, tileQ: 128, tileK: 32, padTo: 16, alignment: 8 },
    ...{ rowAlignment: 8, packHeads: false, window: true, chunk: false, softCap: null },
    ...{ alibi: false, sinkLogits: false, states: false },
  }
  const latent = { headDim: 576, valueDim: 512, latent: true }
  const decode = { tileQ: 16, tileK: 16, packHeads: true, states: true }
  it.each<[string, Partial<PagedProgramSpec>]>([
    ['f16', {}],
    ['two segments', { layout: { ...spec.layout, segments: 2 } }],
    ['pages smaller than a tile', { layout: { ...spec.layout, pageSize: 16 } }],
    ['q8 with recent tokens', { layout: { ...spec.layout, format: 'q8', recentTokens: 64 } }],
    ['q4 with recent tokens', { layout: { ...spec.layout, format: 'q4', recentTokens: 64 } }],
    ['decode', decode],
    ['latent, decode', { ...decode, groupSize: 16, layout: { ...spec.layout, ...latent } }],
    [
      'latent, q8, prefill',
      { tileQ: 64, tileK: 16, groupSize: 16, layout: { ...spec.layout, ...latent, format: 'q8' } },
    ],
    ['values narrower than keys, chunks', { layout: { ...spec.layout, headDim: 96, valueDim: 32 }, chunk: true }],
    ['slopes and sink logits', { alibi: true, sinkLogits: true }],
    ['slopes in decode', { ...decode, alibi: true }],
  ])('%s: taken, and within eight buffers; so is tier 2', async (_, change) => {
    const program = pagedProgram({ ...spec, ...change })
    const kernel = lowerFragments(program, nvidia)
    if (isUnsupported(kernel)) throw new Error(kernel.unsupported)
    const gpu = await openNullDevice()
    expect(await shaderErrors(gpu, kernel.code)).toEqual([])
    const lower = lowerProgram(program, { ...nvidia, tier: 2 })
    expect(lower.tier).toBe(2)
    expect(await shaderErrors(gpu, lower.code)).toEqual([])
  })
})

describe('what pagedAttention refuses', () => {
  const make = (): PagedAttentionOptions => ({
    query: device.zeros([3, 6, 32]),
    pages: createKvPages(device, { format: 'f32', pages: 4, pageSize: 16, numKvHeads: 2, headDim: 32 }),
    pageTable: device.zeros([2, 4], 'i32'),
    work: device.zeros([2, workWidth], 'i32'),
    ...{ tiling, splits: 1 },
    output: device.zeros([3, 192]),
  })
  it.each<[string, (options: PagedAttentionOptions) => Partial<PagedAttentionOptions>]>([
    ['shape', () => ({ query: device.zeros([3, 6, 16]) })],
    ['shape', () => ({ query: device.zeros([3, 5, 32]), output: device.zeros([3, 160]) })],
    ['shape', () => ({ output: device.zeros([3, 96]) })],
    ['shape', () => ({ work: device.zeros([2, 9], 'i32') })],
    ['dtype', () => ({ query: device.zeros([3, 6, 32], 'i32') })],
    ['argument', () => ({ splits: 2 })],
    ['argument', () => ({ splits: 1.5 })],
    ['argument', () => ({ window: 0 })],
    ['argument', () => ({ chunk: 2.5 })],
    ['shape', () => ({ sinkLogits: device.zeros([2]) })],
    ['shape', () => ({ alibiSlopes: device.zeros([6, 1]) })],
    ['dtype', () => ({ sinkLogits: device.zeros([6], 'f16') })],
    ['unsupported', () => ({ alibiSlopes: device.zeros([6]), softCap: 30 })],
    [
      'shape',
      () => ({
        splits: 2,
        states: {
          states: device.zeros([2, 3, 6, 31]),
          stateSums: device.zeros([2, 2, 6, 3]),
          lse: device.zeros([6, 3]),
        },
      }),
    ],
  ])('%s %#', (code, change) => {
    const options = make()
    let error: unknown
    try {
      pagedAttention(device, { ...options, ...change(options) })
    } catch (thrown) {
      error = thrown
    }
    expect(error).toBeInstanceOf(FoveaError)
    expect(error).toMatchObject({ code, where: 'pagedAttention' })
  })
})
