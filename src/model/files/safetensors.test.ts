import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { FoveaError } from '../../ir/error.ts'
import { bytesSource } from './byte-source.ts'
import { fnv1a64 } from './fingerprint.ts'
import { openFile } from './open-file.ts'
import { openSafetensors } from './safetensors.ts'
import { openShardedSafetensors } from './sharded-safetensors.ts'
import { writeSafetensors } from './write-safetensors.ts'

let folder = ''
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'fovea-safetensors-'))
})
afterAll(() => rm(folder, { recursive: true }))

/** A file with this header and so many bytes of data. */
function fileOf(header: unknown, dataBytes: number, spaces = 0): Uint8Array {
  const text = typeof header === 'string' ? header : JSON.stringify(header)
  const json = new TextEncoder().encode(text + ' '.repeat(spaces))
  const bytes = new Uint8Array(8 + json.length + dataBytes)
  new DataView(bytes.buffer).setBigUint64(0, BigInt(json.length), true)
  bytes.set(json, 8)
  for (let i = 0; i < dataBytes; i++) bytes[8 + json.length + i] = i + 1
  return bytes
}

const open = (bytes: Uint8Array) => openSafetensors(bytesSource('model.safetensors', bytes))
const f32 = (shape: number[], from: number, to: number) => ({ dtype: 'F32', shape, data_offsets: [from, to] })

describe('openSafetensors', () => {
  it('gives names, shapes, metadata and bytes, of rows too', async () => {
    const header = {
      __metadata__: { format: 'pt' },
      b: { dtype: 'BF16', shape: [2, 3], data_offsets: [4, 16] },
      a: f32([], 0, 4),
      none: f32([0, 7], 16, 16),
    }
    const table = await open(fileOf(header, 16, 5))
    expect(table.names()).toEqual(['b', 'a', 'none'])
    expect(table.metadata).toEqual(new Map([['format', 'pt']]))
    const b = table.get('b')
    expect(b).toMatchObject({ dtype: 'bf16', shape: [2, 3], byteLength: 12 })
    expect([...(await table.get('a').read())]).toEqual([1, 2, 3, 4])
    expect([...(await b.readRows(1, 2))]).toEqual([11, 12, 13, 14, 15, 16])
    expect((await table.get('none').read()).length).toBe(0)
    expect(() => b.readRows(1, 3)).toThrow('b has 2 rows, asked for 1 to 3')
    expect(table.has('c')).toBe(false)
    expect(() => table.get('c')).toThrow('model.safetensors has no tensor c')
  })

  const damaged: readonly [string, Uint8Array, string][] = [
    ['a file of five bytes', new Uint8Array(5), '5 bytes are no safetensors file'],
    [
      'a header longer than the file',
      fileOf({}, 0).fill(255, 0, 8),
      'the header is to be 18446744073709551615 bytes long',
    ],
    ['no JSON', fileOf('{"a":', 0), 'the header is no JSON: '],
    ['no UTF-8', fileOf({ a: 1 }, 0).fill(0xff, 9, 10), 'the header is no JSON: '],
    ['a list', fileOf([], 0), 'the header is no JSON object'],
    [
      'a name twice',
      fileOf(
        '{"x\\u0061":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"xa":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}',
        1,
      ),
      'the header has the name xa twice',
    ],
    ['no dtype', fileOf({ a: { shape: [1], data_offsets: [0, 1] } }, 1), 'a: dtype undefined is no name'],
    ['an entry that is none', fileOf({ a: 3 }, 0), 'a is no JSON object'],
    ['a negative size', fileOf({ a: f32([-1, -1], 0, 4) }, 4), 'a: shape [-1,-1] is no list of sizes'],
    ['offsets backwards', fileOf({ a: f32([1], 4, 0) }, 4), 'a: data_offsets [4,0] are no beginning and end'],
    ['three offsets', fileOf({ a: { dtype: 'U8', shape: [], data_offsets: [0, 1, 2] } }, 4), 'a: data_offsets [0,1,2]'],
    [
      'a shape that does not fit',
      fileOf({ a: f32([3], 0, 8) }, 8),
      'a: shape [3] of f32 takes 12 bytes, data_offsets span 8',
    ],
    [
      'a size beyond numbers',
      fileOf({ a: f32([2 ** 40, 2 ** 40], 0, 8) }, 8),
      'a: shape [1099511627776, 1099511627776] of f32 takes more bytes than can be counted',
    ],
    [
      'overlap',
      fileOf({ a: f32([2], 0, 8), b: f32([2], 4, 12) }, 12),
      'b: data_offsets begin 4 bytes before the end of a',
    ],
    ['a gap', fileOf({ a: f32([1], 0, 4), b: f32([1], 8, 12) }, 12), 'b: data_offsets leave a gap of 4 bytes after a'],
    ['a gap at the start', fileOf({ a: f32([1], 4, 8) }, 8), 'a: data_offsets leave a gap of 4 bytes after the header'],
    [
      'a file cut short',
      fileOf({ a: f32([2], 0, 8) }, 5),
      'a: data_offsets end 3 bytes beyond the file, which is cut short',
    ],
    ['bytes of no tensor', fileOf({ a: f32([1], 0, 4) }, 9), '5 bytes after a belong to no tensor'],
  ]
  it.each(damaged)('refuses %s', async (_, bytes, message) => {
    const error = await open(bytes).catch((e: unknown) => e)
    expect(error).toBeInstanceOf(FoveaError)
    expect(error).toMatchObject({ code: 'format' })
    expect((error as Error).message).toContain(`model.safetensors: ${message}`)
  })

  it('either opens a damaged file or throws format, whatever byte is changed or cut', async () => {
    const intact = fileOf({ __metadata__: { a: 'b' }, a: f32([2], 0, 8), b: f32([1, 1], 8, 12) }, 12)
    await fc.assert(
      fc.asyncProperty(fc.nat(intact.length - 1), fc.nat(255), fc.nat(intact.length), async (at, byte, cut) => {
        const bytes = intact.slice(0, cut)
        if (at < cut) bytes[at] = byte
        const error = await open(bytes).then(
          () => undefined,
          (e: unknown) => e,
        )
        if (error !== undefined) expect(error).toMatchObject({ name: 'FoveaError', code: 'format' })
      }),
      { numRuns: 500 },
    )
  })

  it('closes the source of a file that it refuses', async () => {
    let closed = 0
    const source = { ...bytesSource('x', new Uint8Array(3)), close: async () => void closed++ }
    await expect(openSafetensors(source)).rejects.toThrow('no safetensors file')
    expect(closed).toBe(1)
  })
})

describe('fingerprint', () => {
  it('is the published FNV-1a of 64 bits', () => {
    const published = { '': 'cbf29ce484222325', a: 'af63dc4c8601ec8c', foobar: '85944171f73967e8' }
    for (const [text, digest] of Object.entries(published)) {
      const hash = fnv1a64()
      hash.add(new TextEncoder().encode(text))
      expect(hash.digest()).toBe(digest)
    }
  })

  it('changes with a name, a shape, a weight', async () => {
    const data = new Float32Array(3000).map((_, i) => i)
    const write = async (name: string, shape: number[], change: (values: Float32Array) => void = () => {}) => {
      const values = data.slice()
      change(values)
      const path = join(folder, 'fingerprint.safetensors')
      await writeSafetensors(path, [{ name, dtype: 'f32', shape, read: async () => new Uint8Array(values.buffer) }])
      const table = await openSafetensors(await openFile(path))
      try {
        return await table.fingerprint()
      } finally {
        await table.close()
      }
    }
    const first = await write('a', [3000])
    expect(first).toMatch(/^[0-9a-f]{16}$/)
    expect(await write('a', [3000])).toBe(first)
    const others = [
      await write('b', [3000]),
      await write('a', [30, 100]),
      await write('a', [3000], (v) => v.set([7], 0)),
      await write('a', [3000], (v) => v.set([7], 1500)),
      await write('a', [3000], (v) => v.set([7], 2999)),
    ]
    expect(new Set([first, ...others]).size).toBe(6)
  })
})

describe('writeSafetensors', () => {
  it('gives back what was written', async () => {
    const path = join(folder, 'round.safetensors')
    await fc.assert(
      fc.asyncProperty(
        fc.uniqueArray(fc.string({ minLength: 1, maxLength: 8 }), { maxLength: 5 }),
        fc.constantFrom('f32', 'bf16', 'f16', 'i64', 'u8', 'bool'),
        fc.array(fc.nat(4), { maxLength: 3 }),
        async (names, dtype, shape) => {
          const size =
            shape.reduce((product, n) => product * n, 1) * { f32: 4, bf16: 2, f16: 2, i64: 8, u8: 1, bool: 1 }[dtype]
          const bytes = new Uint8Array(size).map((_, i) => i * 37)
          const tensors = names.map((name) => ({ name, dtype, shape, read: async () => bytes }))
          await writeSafetensors(path, tensors, { made: 'by a test' })
          const table = await openSafetensors(await openFile(path))
          try {
            expect([...table.names()].sort()).toEqual([...names].sort())
            expect(table.metadata.get('made')).toBe('by a test')
            for (const name of names) {
              expect(table.get(name)).toMatchObject({ dtype, shape })
              expect(await table.get(name).read()).toEqual(bytes)
            }
          } finally {
            await table.close()
          }
        },
      ),
      { numRuns: 25 },
    )
  })

  it('refuses names twice, quantised tensors and bytes that do not fit', async () => {
    const path = join(folder, 'refused.safetensors')
    const a = { name: 'a', dtype: 'f32', shape: [2], read: async () => new Uint8Array(8) } as const
    await expect(writeSafetensors(path, [a, a])).rejects.toThrow('the name a is there twice')
    await expect(writeSafetensors(path, [{ ...a, dtype: 'q8_0', shape: [32] }])).rejects.toThrow(
      'a: q8_0 [32] cannot be',
    )
    await expect(writeSafetensors(path, [{ ...a, shape: [3] }])).rejects.toThrow('a: f32 [3] takes 12 bytes, got 8')
    expect((await readdir(folder)).filter((name) => name.startsWith('refused'))).toEqual([])
  })
})

describe('openShardedSafetensors', () => {
  const shard = (name: string) => fileOf({ [name]: f32([1], 0, 4) }, 4)
  const files: Record<string, Uint8Array> = { 'one.safetensors': shard('a'), 'two.safetensors': shard('b') }
  const openIndex = (index: unknown) =>
    openShardedSafetensors(
      bytesSource('index.json', new TextEncoder().encode(typeof index === 'string' ? index : JSON.stringify(index))),
      async (name) => {
        const bytes = files[name]
        if (!bytes) throw new FoveaError('io', 'openFile', `${name}: no such file`)
        return bytesSource(name, bytes)
      },
    )

  it('finds each tensor in its shard', async () => {
    const table = await openIndex({ metadata: {}, weight_map: { b: 'two.safetensors', a: 'one.safetensors' } })
    expect(table.names()).toEqual(['b', 'a'])
    expect((await table.get('b').read()).length).toBe(4)
    expect(() => table.get('c')).toThrow('index.json has no tensor c')
    const alone = await openIndex({ weight_map: { a: 'one.safetensors' } })
    expect(await alone.fingerprint()).not.toBe(await table.fingerprint())
  })

  it.each([
    ['no JSON', '{', 'format', 'index.json: no JSON'],
    ['no weight_map', {}, 'format', 'index.json: no weight_map'],
    ['a shard elsewhere', { weight_map: { a: '../one.safetensors' } }, 'format', 'weight_map: a: "../one.safetensors"'],
    ['a shard that is a number', { weight_map: { a: 1 } }, 'format', 'weight_map: a: 1 is no file name'],
    ['a missing shard', { weight_map: { a: 'three.safetensors' } }, 'io', 'three.safetensors: no such file'],
    ['a shard without it', { weight_map: { c: 'two.safetensors' } }, 'format', 'two.safetensors has no tensor c'],
  ])('refuses %s', async (_, index, code, message) => {
    const error = await openIndex(index).catch((e: unknown) => e)
    expect(error).toMatchObject({ name: 'FoveaError', code })
    expect((error as Error).message).toContain(message)
  })
})

it('opens a file that was written by others, where it is', async (context) => {
  const path = new URL('../../../../shared/models/books-16m/model.safetensors', import.meta.url).pathname
  const source = await openFile(path).catch(() => context.skip('not there: ../shared/models/books-16m'))
  const table = await openSafetensors(source)
  const embedding = table.get('model.embed_tokens.weight')
  expect(embedding).toMatchObject({ dtype: 'bf16', shape: [8192, 384] })
  const rows = await embedding.readRows(8190, 8192)
  expect(rows).toEqual((await embedding.read()).slice(-2 * 768))
  await table.close()
})

it('keeps no file open after a refusal', async () => {
  const path = join(folder, 'bad.safetensors')
  await writeFile(path, new Uint8Array(4))
  const before = (await readdir('/proc/self/fd')).length
  for (let i = 0; i < 5; i++) await expect(openFile(path).then(openSafetensors)).rejects.toThrow('bad.safetensors')
  expect((await readdir('/proc/self/fd')).length).toBe(before)
  expect((await readFile(path)).length).toBe(4)
})
