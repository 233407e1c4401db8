import { describe, expect, it } from 'vitest'
import { type Device, openDevice } from '../device/index.ts'
import { FoveaError } from '../tile/index.ts'
import { createKvPages, type KvPagesSpec, kvPageBytes } from './kv-pages.ts'
import { recentSlots } from './recent-slots.ts'

const device: Device = await openDevice('interpret')
const spec: KvPagesSpec = { format: 'f32', pages: 7, pageSize: 16, numKvHeads: 2, headDim: 32 }

describe('pages of keys and values', () => {
  it.each<[Partial<KvPagesSpec>, number]>([
    [{}, 7 * 16 * 2 * 32 * 4 * 2],
    [{ format: 'f16' }, 7 * 16 * 2 * 32 * 2 * 2],
    [{ format: 'bf16' }, 7 * 16 * 2 * 32 * 2 * 2],
    [{ format: 'q8' }, 7 * 16 * 2 * (32 + 4) * 2],
    [{ format: 'q4' }, 7 * 16 * 2 * (16 + 4) * 2],
    [{ valueDim: 8 }, 7 * 16 * 2 * (32 + 8) * 4],
    [{ format: 'q4', valueDim: 40 }, 7 * 16 * 2 * (16 + 20 + 2 * 4)],
    [{ format: 'q8', valueDim: 48, rows: 1, recentTokens: 4 }, 7 * 16 * 2 * (32 + 48 + 2 * 4) + 4 * 2 * 48 * 4 * 2],
    [{ valueDim: 24, latent: true }, 7 * 16 * 2 * 32 * 4],
    [
      { format: 'q4', valueDim: 24, latent: true, rows: 2, recentTokens: 8 },
      7 * 16 * 2 * (16 + 8) + 2 * 8 * 2 * 24 * 4 * 2,
    ],
    [{ format: 'q8', rows: 3, recentTokens: 48 }, 7 * 16 * 2 * (32 + 4) * 2 + 3 * 48 * 2 * 32 * 4 * 2],
    [{ format: 'q4', rows: 2, recentDType: 'f16' }, 7 * 16 * 2 * (16 + 4) * 2 + 2 * 64 * 2 * 32 * 2 * 2],
  ])('%j: bytes as planned, all freed', (change, bytes) => {
    expect(kvPageBytes({ ...spec, ...change })).toBe(bytes)
    const before = device.memory.allocated
    for (const maxBindingBytes of [1e9, 9000]) {
      const pages = createKvPages(device, { ...spec, ...change }, { maxBindingBytes })
      expect(pages.bytes).toBe(bytes)
      expect(device.memory.allocated - before).toBe(bytes)
      pages.dispose()
      expect(device.memory.allocated).toBe(before)
    }
  })
  it('segments are whole pages within the binding', () => {
    const pages = createKvPages(device, spec, { maxBindingBytes: 3 * 4096 + 4000 })
    expect(pages).toMatchObject({ segments: 3, pagesPerSegment: 3 })
    expect(pages.keys.map(({ shape }) => shape)).toEqual([
      [3, 16, 2, 32],
      [3, 16, 2, 32],
      [1, 16, 2, 32],
    ])
    pages.dispose()
  })
  it.each<[string, Partial<KvPagesSpec>, number]>([
    ['argument', { pages: 0 }, 1e9],
    ['argument', { pageSize: 1.5 }, 1e9],
    ['argument', { format: 'q4', headDim: 33 }, 1e9],
    ['argument', { valueDim: 0 }, 1e9],
    ['argument', { latent: true }, 1e9],
    ['argument', { format: 'q4', valueDim: 25, latent: true }, 1e9],
    ['argument', { format: 'q4', valueDim: 7 }, 1e9],
    ['limit', { headDim: 8, valueDim: 32 }, 4000],
    ['argument', { format: 'q8', rows: -1 }, 1e9],
    ['argument', { format: 'q8', rows: 2, recentTokens: 0 }, 1e9],
    ['limit', {}, 4000],
  ])('refuses %s: %j', (code, change, maxBindingBytes) => {
    const before = device.memory.allocated
    const make = () => createKvPages(device, { ...spec, ...change }, { maxBindingBytes })
    expect(make).toThrow(FoveaError)
    expect(make).toThrow(expect.objectContaining({ code, where: 'createKvPages' }) as Error)
    expect(device.memory.allocated).toBe(before)
  })
  it('refuses more segments than a kernel binds', () => {
    const few = { kind: 'webgpu', info: { limits: { maxStorageBuffersPerShaderStage: 8 } } } as unknown as Device
    expect(() => createKvPages(few, spec, { maxBindingBytes: 3 * 4096 })).toThrow(
      /createKvPages: 7 pages of 16 tokens in f32 take 3 segments of 12288 bytes, .* binds 10 buffers; .* allows 8/,
    )
  })
})

describe('places of recent tokens', () => {
  it('the newest of each sequence, each place once', () => {
    const sequences = [
      { row: 2, qBase: 1, qLength: 1, kLength: 10 },
      { row: 0, qBase: 2, qLength: 6, kLength: 7 },
    ]
    expect([...recentSlots(sequences, 4, new Int32Array(9))]).toEqual([-1, 9, -1, -1, 3, 0, 1, 2, -1])
  })
})
