import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { randomNumbers } from '../../test/numerics/random.ts'
import { type Device, openDevice } from '../device/index.ts'
import { bytesSource } from '../model/files/byte-source.ts'
import { openFile } from '../model/files/open-file.ts'
import { writeAside } from '../model/files/write-aside.ts'
import { FoveaError } from '../tile/index.ts'
import { checksum, checksumBytes } from './checksum.ts'
import { PageCache, type PageCacheSpec } from './page-cache.ts'
import { pagePlanes, writePlane } from './page-planes.ts'
import { restorePrefix, savePrefix } from './saved-prefix.ts'

const device: Device = await openDevice('wasm')
afterAll(() => device.dispose())

const spec: PageCacheSpec = {
  layers: [
    { numKvHeads: 2, headDim: 8 },
    { numKvHeads: 1, headDim: 8, valueDim: 4 },
    { numKvHeads: 1, headDim: 12, valueDim: 8, latent: true },
  ],
  format: 'f16',
  pages: 12,
  rows: 2,
  pageSize: 4,
}
const model = 'llama 1234'
const tokens = Array.from({ length: 27 }, (_, i) => (i * 7) % 5)

/** A cache in which a sequence has written these tokens, on pages that do not follow one another, with random bytes. */
function filled(wanted: PageCacheSpec = spec): PageCache {
  const cache = new PageCache(device, wanted)
  const others = [cache.open([9]), cache.open([8])] as const
  others[0].reserve(8)
  others[0].append([9, 1, 1, 1, 1, 1, 1, 1])
  others[1].reserve(4)
  others[0].close({ keep: false })
  const sequence = cache.open(tokens)
  for (const at of [0, 12, 20]) {
    sequence.reserve(Math.min(12, tokens.length - at))
    sequence.append(tokens.slice(at, Math.min(at + (at === 0 ? 12 : 8), tokens.length)))
  }
  const random = randomNumbers(5)
  for (const plane of pagePlanes(cache.pools))
    for (const page of sequence.pages)
      writePlane(
        plane,
        [page],
        Uint8Array.from({ length: plane.bytesPerPage }, () => Math.floor(random() * 256)),
      )
  for (const open of [sequence, others[1]]) open.close()
  return cache
}

async function saved(cache: PageCache): Promise<Uint8Array<ArrayBuffer>> {
  const parts: Uint8Array[] = []
  const sink = { write: async (bytes: Uint8Array) => void parts.push(bytes.slice()) }
  const { bytes } = await savePrefix(cache, tokens, sink, { model })
  const whole = new Uint8Array(bytes)
  let at = 0
  for (const part of parts) {
    whole.set(part, at)
    at += part.byteLength
  }
  expect(at).toBe(bytes)
  return whole
}

/** All bytes of the pages of `tokens`, as the cache has them. */
async function contents(cache: PageCache): Promise<number[][]> {
  const pinned = cache.pin(tokens)
  const planes = await Promise.all(
    pagePlanes(cache.pools).flatMap(({ tensors: [tensor], bytesPerPage }) =>
      pinned.pages.map(async (page) => {
        const view = tensor?.view({ shape: [tensor.size], offset: 0 })
        const bytes = await view?.readBytes()
        view?.dispose()
        return [...(bytes ?? []).slice(page * bytesPerPage, (page + 1) * bytesPerPage)]
      }),
    ),
  )
  pinned.release()
  return planes
}

describe('a saved prefix', () => {
  for (const format of ['f32', 'f16', 'bf16', 'q8', 'q4'] as const)
    it(`comes back as it was in ${format}`, async () => {
      const [source, target] = [filled({ ...spec, format }), new PageCache(device, { ...spec, format })]
      expect(source.find([...tokens, 0])).toBe(24)
      const bytes = await saved(source)
      const restored = await restorePrefix(target, bytesSource('memory', bytes), { model })
      expect([...restored]).toEqual(tokens.slice(0, 24))
      expect(target.stats()).toEqual({ total: 12, used: 0, cached: 6, free: 6, sequences: 0 })
      expect(await contents(target)).toEqual(await contents(source))
      const sequence = target.open([...tokens, 0])
      expect(sequence.length).toBe(24)
      // on pages that follow one another
      expect(sequence.pages).toEqual([0, 1, 2, 3, 4, 5])
      source.dispose()
      target.dispose()
    })

  it('takes the place of what is missing, and leaves what is there', async () => {
    const source = filled()
    const bytes = await saved(source)
    const before = await contents(source)
    const all = source.pin(tokens).pages
    // nothing is missing
    await restorePrefix(source, bytesSource('memory', bytes), { model })
    expect(source.pin(tokens).pages).toEqual(all)
    const target = new PageCache(device, spec)
    const begun = target.open(tokens)
    begun.reserve(9)
    begun.append(tokens.slice(0, 9))
    const first = begun.pages[0] as number
    await restorePrefix(target, bytesSource('memory', bytes), { model })
    expect(target.pin(tokens).pages.slice(0, 2)).toEqual([first, begun.pages[1]])
    const after = await contents(target)
    // of each of the four planes: pages 2 to 5 come from the file
    for (let plane = 0; plane < 4; plane++)
      expect(after.slice(plane * 6 + 2, plane * 6 + 6)).toEqual(before.slice(plane * 6 + 2, plane * 6 + 6))
    source.dispose()
    target.dispose()
  })

  it('is refused with any byte flipped, cut short or made longer, and leaves no page behind', async () => {
    const source = filled({ ...spec, layers: [{ numKvHeads: 1, headDim: 2 }], pages: 12 })
    const small = { ...spec, layers: [{ numKvHeads: 1, headDim: 2 }] }
    const bytes = await saved(source)
    const target = new PageCache(device, small)
    const refusal = async (file: Uint8Array) => {
      const error = await restorePrefix(target, bytesSource('p.kv', file), { model }).catch((cause: unknown) => cause)
      expect(error).toBeInstanceOf(FoveaError)
      expect((error as FoveaError).code).toBe('format')
      expect((error as FoveaError).message).toContain('p.kv')
      expect(target.stats()).toMatchObject({ used: 0, cached: 0, free: 12 })
      return (error as FoveaError).message
    }
    for (let at = 0; at < bytes.length; at++) {
      bytes[at] = (bytes[at] as number) ^ (1 << (at % 8))
      await refusal(bytes)
      bytes[at] = (bytes[at] as number) ^ (1 << (at % 8))
    }
    for (const length of [0, 7, 16, 40, bytes.length - 1]) await refusal(bytes.slice(0, length))
    expect(await refusal(Uint8Array.of(...bytes, 0))).toContain(`it has ${bytes.length + 1} bytes`)
    const flipped = bytes.slice()
    flipped[bytes.length - 20] = (flipped[bytes.length - 20] as number) ^ 4
    expect(await refusal(flipped)).toContain(
      'p.kv is damaged: the checksum of values of layer 0, pages 0 to 5 does not agree',
    )
    await restorePrefix(target, bytesSource('p.kv', bytes), { model })
    expect(target.stats().cached).toBe(6)
    source.dispose()
    target.dispose()
  })

  it('is refused by another model, format, geometry and page size, by name', async () => {
    const source = filled()
    const bytes = bytesSource('p.kv', await saved(source))
    for (const [changes, other, message] of [
      [{}, 'llama 1235', 'p.kv: model is "llama 1234", this cache has "llama 1235"'],
      [{ format: 'bf16' }, model, 'p.kv: format is "f16", this cache has "bf16"'],
      [{ pageSize: 8 }, model, 'p.kv: pageSize is 4, this cache has 8'],
      [
        { layers: spec.layers.slice(0, 1) },
        model,
        'p.kv: layers is ["2 heads of 8","1 heads of 8, values of 4","1 heads of 12, values of 8 in them"], this cache',
      ],
    ] as const) {
      const target = new PageCache(device, { ...spec, ...changes })
      await expect(restorePrefix(target, bytes, { model: other })).rejects.toThrow(message)
      target.dispose()
    }
    const text = bytesSource('notes.txt', new TextEncoder().encode('not at all a saved prefix'))
    await expect(restorePrefix(source, text, { model })).rejects.toThrow('notes.txt is no saved prefix')
    const few = new PageCache(device, { ...spec, pages: 5 })
    await expect(restorePrefix(few, bytes, { model })).rejects.toThrow('needs 6 more pages of 4 tokens; of 5 pages')
    const own = new PageCache(device, { ...spec, share: false })
    await expect(restorePrefix(own, bytes, { model })).rejects.toThrow('shares no prefixes')
    await expect(savePrefix(few, tokens, { write: async () => {} }, { model })).rejects.toThrow(
      'savePrefix: of 6 whole pages of 4 tokens 0 are in the cache',
    )
    for (const cache of [source, few, own]) cache.dispose()
  })

  it('is refused when its description lies, be its checksums right', async () => {
    const source = filled()
    const bytes = await saved(source)
    const length = new DataView(bytes.buffer).getUint32(12, true)
    const text = new TextDecoder().decode(bytes.subarray(16, 16 + length))
    const description = JSON.parse(text)
    const deep = `{"model":${'['.repeat(400_000)}${']'.repeat(400_000)}}`
    const lies: readonly (readonly [string, RegExp])[] = [
      [
        JSON.stringify({ ...description, tokens: 2 ** 52 }),
        /tokens is 4503599627370496, of which \d+ bytes hold fewer/,
      ],
      [JSON.stringify({ ...description, tokens: 4e9 }), /tokens is 4000000000, of which/],
      [JSON.stringify({ ...description, tokens: 28 }), /tokens is 28, of which|it has \d+ bytes/],
      [JSON.stringify({ ...description, tokens: 1e308 }), /tokens is 1e\+308, no whole number/],
      [deep, /tokens is undefined, no whole number/],
      [deep.replace('{', `{"tokens":24,`), /model is (nested too deep|\[)/],
      [JSON.stringify({ ...description, layers: 'x'.repeat(9000) }), /layers is "x{199}…, this cache has/],
      ['null', /the description is no JSON object/],
      ['[]', /tokens is undefined/],
    ]
    for (const [lie, message] of lies) {
      const written = new TextEncoder().encode(lie)
      const header = new Uint8Array(16 + Math.ceil(written.byteLength / 4) * 4).fill(0x20)
      header.set(bytes.subarray(0, 12))
      new DataView(header.buffer).setUint32(12, header.byteLength - 16, true)
      header.set(written, 16)
      const whole = Buffer.concat([header, checksum(header, 0), bytes.subarray(16 + length + checksumBytes)])
      const before = process.cpuUsage()
      await expect(restorePrefix(source, bytesSource('p.kv', whole), { model })).rejects.toMatchObject({
        code: 'format',
        message: expect.stringMatching(message),
      })
      expect(process.cpuUsage(before).user).toBeLessThan(1e6)
    }
    source.dispose()
  })

  it('lies in a file, whose old content stays when writing fails', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'fovea-prefix-'))
    const path = join(folder, 'system.kv')
    const [source, target] = [filled(), new PageCache(device, spec)]
    await writeFile(path, 'old')
    let left = 3
    const failing = writeAside(path, async (sink) => {
      await savePrefix(
        source,
        tokens,
        {
          write: async (bytes) => {
            if (left-- === 0) throw new FoveaError('io', 'write', 'ENOSPC: no space left on device')
            await sink.write(bytes)
          },
        },
        { model },
      )
    })
    await expect(failing).rejects.toThrow('ENOSPC')
    expect(await readFile(path, 'utf8')).toBe('old')
    expect(await readdir(folder)).toEqual(['system.kv'])
    expect(source.stats().used).toBe(0)
    await writeAside(path, async (sink) => void (await savePrefix(source, tokens, sink, { model })))
    const file = await openFile(path)
    await restorePrefix(target, file, { model })
    await file.close()
    expect(await contents(target)).toEqual(await contents(source))
    await rm(folder, { recursive: true })
    source.dispose()
    target.dispose()
  })
})
