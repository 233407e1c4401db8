import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { PageFormat } from '../attention/paged/page-pool.ts'
import { type Device, openDevice } from '../device/index.ts'
import { copyPages } from './copy-pages.ts'
import { createKvPages } from './kv-pages.ts'

describe.each(['interpret', 'wasm', 'webgpu'] as const)('copyPages on %s', (kind) => {
  let device: Device
  beforeAll(async () => {
    device = await openDevice(kind)
  })
  afterAll(() => device.dispose())

  it.each<[PageFormat, number]>([
    ['f32', 1e9],
    ['f16', 1e9],
    ['q8', 1e9],
    // three pages to a segment: within one and from one to another
    ['f32', 3 * 20 * 2 * 12 * 4],
  ])('copies pages of %s, segments of %i bytes, and nothing else', async (format, maxBindingBytes) => {
    const spec = { format, pages: 7, pageSize: 20, numKvHeads: 2, headDim: 12 }
    const pages = createKvPages(device, spec, { maxBindingBytes })
    const planes = [pages.keys, pages.values, pages.scales]
    const before = planes.map((plane) => plane.map((tensor, s) => filled(tensor.size, s + 1)))
    planes.forEach((plane, p) => {
      plane.forEach((tensor, s) => {
        tensor.write(before[p]?.[s] as number[])
      })
    })
    copyPages(device, { pages, source: [0, 5], target: [2, 1] })
    for (const [p, plane] of planes.entries()) {
      const flat = (parts: readonly ArrayLike<number>[]) => parts.flatMap((part) => Array.from(part))
      const was = flat(before[p] as number[][])
      const got = flat(await Promise.all(plane.map((tensor) => tensor.read())))
      const size = was.length / 7
      const page = (values: readonly number[], n: number) => values.slice(n * size, (n + 1) * size)
      for (let n = 0; n < 7 && size > 0; n++) expect(page(got, n)).toEqual(page(was, n === 2 ? 0 : n === 1 ? 5 : n))
    }
    pages.dispose()
  })

  it('refuses pages that are not there', () => {
    const pages = createKvPages(device, { format: 'f32', pages: 4, pageSize: 16, numKvHeads: 1, headDim: 4 })
    expect(() => copyPages(device, { pages, source: [0], target: [4] })).toThrow(/copyPages: .*onto \[4\]/)
    expect(() => copyPages(device, { pages, source: [1], target: [1] })).toThrow(/copyPages/)
    expect(() => copyPages(device, { pages, source: [1, 2], target: [3] })).toThrow(/copyPages/)
    pages.dispose()
  })
})

function filled(size: number, seed: number): number[] {
  return Array.from({ length: size }, (_, i) => ((i * 7 + seed * 31) % 101) - 50)
}
