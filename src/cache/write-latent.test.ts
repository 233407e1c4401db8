import { describe, expect, it } from 'vitest'
import { type Device, openDevice } from '../device/index.ts'
import { FoveaError } from '../tile/index.ts'
import { createKvPages } from './kv-pages.ts'
import { type WriteLatentOptions, writeLatent } from './write-latent.ts'
import { writePages } from './write-pages.ts'

const device: Device = await openDevice('interpret')
const spec = { format: 'f32', pages: 2, pageSize: 4, numKvHeads: 1, headDim: 12 } as const
const pages = createKvPages(device, { ...spec, valueDim: 8, latent: true })
const good: WriteLatentOptions = {
  compressed: device.zeros([3, 12]),
  rotary: device.zeros([3, 2, 4]),
  positions: device.zeros([3], 'i32'),
  slots: device.zeros([3], 'i32'),
  ...{ rope: null, norm: null, pages },
  query: device.zeros([3, 2, 12]),
}
const recent = createKvPages(device, { ...spec, format: 'q8', valueDim: 8, latent: true, rows: 1 })

describe('what writeLatent refuses', () => {
  it('nothing of what fits', () => writeLatent(device, good))
  it.each<[string, Partial<WriteLatentOptions>]>([
    ['argument', { pages: createKvPages(device, spec) }],
    ['argument', { pages: createKvPages(device, { ...spec, numKvHeads: 2, valueDim: 8, latent: true }) }],
    ['shape', { query: device.zeros([3, 2, 8]) }],
    ['shape', { compressed: device.zeros([3, 8]) }],
    ['shape', { rotary: device.zeros([3, 1, 4]) }],
    ['shape', { slots: device.zeros([2], 'i32') }],
    ['shape', { pages: recent }],
    ['shape', { norm: { eps: 1e-6, offset: 0, weight: device.zeros([4]) } }],
    ['dtype', { positions: device.zeros([3]) }],
    ['dtype', { rotary: device.zeros([3, 2, 4], 'i32') }],
  ])('%s %#', (code, change) => {
    let error: unknown
    try {
      writeLatent(device, { ...good, ...change })
    } catch (thrown) {
      error = thrown
    }
    expect(error).toBeInstanceOf(FoveaError)
    expect(error).toMatchObject({ code, where: 'writeLatent' })
  })
  it('more buffers than the device binds, in any number of kernels', () => {
    const few = {
      ...device,
      kind: device.kind,
      info: { ...device.info, limits: { maxStorageBuffersPerShaderStage: 2 } },
    }
    expect(() => writeLatent(few as unknown as Device, good)).toThrow(/writeLatent: keys in 1 segments take 3 buffers/)
  })
  it('and writePages refuses latent pages', () => {
    const { positions, slots, query } = good
    expect(() =>
      writePages(device, { qkv: device.zeros([3, 44]), positions, slots, rope: null, pages, query }),
    ).toThrow(/writePages: latent pages are written by writeLatent/)
  })
})
