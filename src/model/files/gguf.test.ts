import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gguf } from '@huggingface/gguf'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { weightFormats } from '../../nn/block-formats/weight-formats.ts'
import type { WeightDType } from '../../nn/weight-data.ts'
import { bytesSource } from './byte-source.ts'
import { openGguf } from './gguf.ts'
import { openFile } from './open-file.ts'
import type { GgufTypedValue } from './write-gguf.ts'
import { writeGguf } from './write-gguf.ts'
import type { TensorToWrite } from './write-safetensors.ts'

let folder = ''
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'fovea-gguf-'))
})
afterAll(() => rm(folder, { recursive: true }))

/** The bytes that `writeGguf` gives. */
async function written(
  metadata: Record<string, GgufTypedValue>,
  tensors: readonly TensorToWrite[],
): Promise<Uint8Array> {
  const parts: Uint8Array[] = []
  const sink = { write: async (bytes: Uint8Array) => void parts.push(bytes.slice()) }
  await writeGguf(sink, new Map(Object.entries(metadata)), tensors)
  return new Uint8Array(Buffer.concat(parts))
}

const open = (bytes: Uint8Array) => openGguf(bytesSource('model.gguf', bytes))

/** bytes of 512 elements by dtype, of those that files have */
const sizes = Object.fromEntries(
  Object.entries(weightFormats).flatMap(([dtype, { ggml, elements, bytes }]) =>
    ggml ? [[dtype, (512 / elements) * bytes]] : [],
  ),
) as Readonly<Record<WeightDType, number>>
const tensorOf = (name: string, dtype: WeightDType) => {
  const bytes = new Uint8Array(sizes[dtype]).map((_, i) => i * 13 + name.length)
  return { name, dtype, shape: [2, 256], read: async () => bytes }
}

const everyType: Record<string, GgufTypedValue> = {
  'general.architecture': { type: 'string', value: 'llamä 🦙' },
  u8: { type: 'u8', value: 255 },
  i8: { type: 'i8', value: -128 },
  u16: { type: 'u16', value: 65535 },
  i16: { type: 'i16', value: -32768 },
  u32: { type: 'u32', value: 4294967295 },
  i32: { type: 'i32', value: -2147483648 },
  f32: { type: 'f32', value: 0.25 },
  f64: { type: 'f64', value: 0.1 },
  yes: { type: 'bool', value: true },
  u64: { type: 'u64', value: 2n ** 64n - 1n },
  i64: { type: 'i64', value: -5 },
  tokens: { type: { arrayOf: 'string' }, value: ['a', '', 'ü'] },
  types: { type: { arrayOf: 'i32' }, value: [1, -1] },
  flags: { type: { arrayOf: 'bool' }, value: [true, false] },
  none: { type: { arrayOf: 'u32' }, value: [] },
}

describe('writeGguf and openGguf', () => {
  it('give back values of every type and tensors of every dtype', async () => {
    const tensors = (Object.keys(sizes) as WeightDType[]).map((dtype) => tensorOf(`blk.0.${dtype}.weight`, dtype))
    const table = await open(await written(everyType, tensors))
    expect(table.version).toBe(3)
    for (const [key, { value }] of Object.entries(everyType)) expect(table.metadata.get(key)).toEqual(value)
    expect(table.names()).toEqual(tensors.map((tensor) => tensor.name))
    for (const { name, dtype, shape, read } of tensors) {
      expect(table.get(name)).toMatchObject({ dtype, shape })
      expect(await table.get(name).read()).toEqual(await read())
      expect(await table.get(name).readRows(1, 2)).toEqual((await read()).slice(sizes[dtype] / 2))
    }
  })

  it('agree with the parser of @huggingface/gguf, arrays longer than a chunk included', async () => {
    const tokens = Array.from({ length: 200_000 }, (_, i) => `token ${i}`)
    const metadata = { ...everyType, tokens: { type: { arrayOf: 'string' }, value: tokens } } as const
    const path = join(folder, 'judged.gguf')
    const tensors = [tensorOf('a', 'f32'), { ...tensorOf('b', 'q4_0'), shape: [2, 4, 64] }, tensorOf('c', 'bf16')]
    await writeGguf(path, new Map(Object.entries(metadata)), tensors)
    const theirs = await gguf(path, { allowLocalFile: true })
    const ours = await openGguf(await openFile(path))
    // theirs keeps the file's own numbers under these names
    const { version, tensor_count, kv_count, ...values } = theirs.metadata as unknown as Record<string, unknown>
    expect([version, tensor_count, kv_count]).toEqual([3, 3n, BigInt(Object.keys(metadata).length)])
    const plain = Object.entries(values).map(([key, v]) => [key, v === -5n ? -5 : v])
    expect(Object.fromEntries(plain)).toEqual(Object.fromEntries(ours.metadata))
    for (const { name, shape, offset } of theirs.tensorInfos) {
      expect(ours.get(name).shape).toEqual(shape.map(Number).reverse())
      const at = Number(theirs.tensorDataOffset + offset)
      expect(at % 32).toBe(0)
      const source = await openFile(path)
      expect(await source.read(at, ours.get(name).byteLength)).toEqual(await ours.get(name).read())
      await source.close()
    }
    await ours.close()
  })

  it('keep byte order marks: keys, values, tokens and names of tensors begin with them', async () => {
    const mark = '\uFEFF'
    const table = await open(
      await written(
        {
          [`${mark}key`]: { type: 'string', value: `${mark}value` },
          tokens: { type: { arrayOf: 'string' }, value: ['//', mark, `${mark}//`, `a${mark}`, mark + mark] },
        },
        [tensorOf(`${mark}t`, 'f32'), tensorOf('t', 'f32')],
      ),
    )
    expect(table.metadata.get(`${mark}key`)).toBe(`${mark}value`)
    expect(table.metadata.get('tokens')).toEqual(['//', mark, `${mark}//`, `a${mark}`, mark + mark])
    expect([table.has(`${mark}t`), table.has('t')]).toEqual([true, true])
  })

  it('reads version 2', async () => {
    const bytes = await written(everyType, [tensorOf('a', 'f16')])
    bytes[4] = 2
    expect((await open(bytes)).version).toBe(2)
  })

  it('lays tensors at the alignment that the file states', async () => {
    const bytes = await written({ 'general.alignment': { type: 'u32', value: 32 } }, [tensorOf('a', 'f32')])
    const text = new TextDecoder('latin1').decode(bytes)
    const at = text.indexOf('general.alignment') + 'general.alignment'.length + 4
    expect(bytes.length - 2048).toBeLessThanOrEqual(128)
    const wide = new Uint8Array(128 + 2048)
    wide.set(bytes.subarray(0, bytes.length - 2048))
    new DataView(wide.buffer).setUint32(at, 128, true)
    wide.fill(7, 128)
    expect(new Set(await (await open(wide)).get('a').read())).toEqual(new Set([7]))
    new DataView(wide.buffer).setUint32(at, 24, true)
    await expect(open(wide)).rejects.toThrow('general.alignment is 24, no power of two')
  })

  it('refuse to write what cannot be read', async () => {
    const a = tensorOf('a', 'q8_0')
    await expect(written({}, [a, a])).rejects.toThrow('2 tensors have 1 names')
    await expect(written({}, [{ ...a, shape: [16, 2, 16] }])).rejects.toThrow('a: q8_0 [16, 2, 16] cannot be written')
    await expect(written({}, [{ ...a, shape: [1, 1, 1, 2, 256] }])).rejects.toThrow('cannot be written')
    await expect(written({}, [{ ...a, dtype: 'bool' }])).rejects.toThrow('a: bool [2, 256] cannot be written')
    await expect(written({}, [{ ...a, shape: [1, 256] }])).rejects.toThrow('takes 272 bytes, got 544')
    for (const value of [256, -1, 0.5, '1', true, Number.NaN])
      await expect(written({ k: { type: 'u8', value } }, [])).rejects.toThrow(`k: ${value} is no u8`)
    await expect(written({ k: { type: 'u64', value: -1n } }, [])).rejects.toThrow('k: -1 is no u64')
    await expect(written({ k: { type: { arrayOf: 'string' }, value: [3] } }, [])).rejects.toThrow('k: 3 is no string')
  })
})

describe('openGguf refuses', () => {
  const base = () =>
    written({ arch: { type: 'string', value: 'llama' }, n: { type: 'u32', value: 7 } }, [
      tensorOf('blk.0.attn_q.weight', 'f16'),
      tensorOf('second', 'f32'),
    ])
  /** The base with bytes changed: `at` gives the index after a text of the file. */
  const change = async (edit: (view: DataView, behind: (text: string) => number) => void) => {
    const bytes = await base()
    const text = new TextDecoder('latin1').decode(bytes)
    edit(new DataView(bytes.buffer), (part) => text.indexOf(part) + part.length)
    return bytes
  }
  const big = 2n ** 62n
  const firstTensor = 'blk.0.attn_q.weight'

  it.each<[string, () => Promise<Uint8Array>, string]>([
    ['an empty file', async () => new Uint8Array(), 'cut short: magic and version takes 8 bytes at 0, 0 are left'],
    ['a bad magic', () => change((v) => v.setUint8(0, 0x67)), 'magic is 0x46554767, not that of GGUF'],
    ['version 1', () => change((v) => v.setUint32(4, 1, true)), 'version is 1; 2 and 3 are read'],
    ['big-endian', () => change((v) => v.setUint32(4, 3)), 'version is 50331648 (a big-endian file?)'],
    [
      'absurdly many tensors',
      () => change((v) => v.setBigUint64(8, 10n ** 9n, true)),
      'tensor_count is 1000000000, which',
    ],
    [
      'more tensors than numbers',
      () => change((v) => v.setBigUint64(8, big, true)),
      `tensor_count is ${big}, more than can be`,
    ],
    [
      'absurdly many values',
      () => change((v) => v.setBigUint64(16, 10n ** 8n, true)),
      'metadata_kv_count is 100000000, which',
    ],
    ['a long key', () => change((v) => v.setBigUint64(24, 10n ** 6n, true)), 'length of key 1 of 2 is 1000000, which'],
    [
      'a type that is none',
      () => change((v, behind) => v.setUint32(behind('arch'), 13, true)),
      'arch: 13 is no type of a value',
    ],
    [
      'a long text',
      () => change((v, behind) => v.setBigUint64(behind('arch') + 4, 99_999n, true)),
      'length of arch is 99999, which',
    ],
    [
      'a long array',
      () =>
        change((v, behind) => {
          v.setUint32(behind('arch'), 9, true)
          v.setUint32(behind('arch') + 4, 0, true)
          v.setBigUint64(behind('arch') + 8, 10n ** 12n, true)
        }),
      'length of arch is 1000000000000, which',
    ],
    [
      'five dimensions',
      () => change((v, behind) => v.setUint32(behind(firstTensor), 5, true)),
      `${firstTensor} has 5 dimensions`,
    ],
    [
      'a size beyond the file',
      () => change((v, behind) => v.setBigUint64(behind(firstTensor) + 12, 2n ** 40n, true)),
      `${firstTensor} ends at `,
    ],
    [
      'sizes beyond numbers',
      () =>
        change((v, behind) => {
          v.setBigUint64(behind(firstTensor) + 4, 2n ** 40n, true)
          v.setBigUint64(behind(firstTensor) + 12, 2n ** 40n, true)
        }),
      'is no shape of F16',
    ],
    [
      'rows that are no whole number of blocks',
      () =>
        change((v, behind) => {
          v.setBigUint64(behind(firstTensor) + 4, 128n, true)
          v.setUint32(behind(firstTensor) + 20, 12, true)
        }),
      `${firstTensor}: [2, 128] is no shape of Q4_K, whose blocks hold 256`,
    ],
    [
      'an offset that is not aligned',
      () => change((v, behind) => v.setBigUint64(behind('second') + 24, 1025n, true)),
      'second: offset 1025 is no multiple of the alignment 32',
    ],
    [
      'tensors that overlap',
      () => change((v, behind) => v.setBigUint64(behind('second') + 24, 992n, true)),
      `second begins 32 bytes before the end of ${firstTensor}`,
    ],
    ['a file cut short', async () => (await base()).slice(0, -33), 'of the file, which is cut short'],
    [
      'a key twice',
      async () => {
        const bytes = await written({ aa: { type: 'u8', value: 1 }, ab: { type: 'u8', value: 1 } }, [])
        bytes[new TextDecoder('latin1').decode(bytes).indexOf('ab') + 1] = 'a'.charCodeAt(0)
        return bytes
      },
      'metadata has the key aa twice',
    ],
    [
      'a tensor twice',
      async () => {
        const bytes = await written({}, [tensorOf('aa', 'f16'), tensorOf('ab', 'f16')])
        bytes[new TextDecoder('latin1').decode(bytes).indexOf('ab') + 1] = 'a'.charCodeAt(0)
        return bytes
      },
      'two tensors have the name aa',
    ],
    [
      'a part of a model',
      () => written({ 'split.count': { type: 'u16', value: 3 } }, []),
      'split.count is 3: give all parts of the model',
    ],
  ])('%s', async (_, make, message) => {
    const error = await make()
      .then(open)
      .catch((e: unknown) => e)
    expect(error).toMatchObject({ name: 'FoveaError', code: 'format' })
    expect((error as Error).message).toContain(message)
    expect((error as Error).message).toContain('model.gguf: ')
  })

  it('arrays nested without end', async () => {
    const bytes = await written({ deep: { type: { arrayOf: 'u8' }, value: Array(1000).fill(0) } }, [])
    const at = new TextDecoder('latin1').decode(bytes).indexOf('deep') + 8
    const view = new DataView(bytes.buffer)
    for (let i = 0; i < 50; i++) {
      view.setUint32(at + 12 * i, 9, true)
      view.setBigUint64(at + 12 * i + 4, 1n, true)
    }
    await expect(open(bytes)).rejects.toThrow('deep: arrays of arrays of arrays')
  })

  it('or opens a file of which any byte was changed or the end cut off', async () => {
    const intact = await written(everyType, [tensorOf('a', 'q8_0'), tensorOf('b', 'f16')])
    const header = intact.length - sizes.q8_0 - sizes.f16
    await fc.assert(
      fc.asyncProperty(fc.nat(header), fc.nat(255), fc.nat(intact.length), async (at, byte, cut) => {
        for (const bytes of [intact.slice(), intact.slice(0, cut)]) {
          if (at < bytes.length) bytes[at] = byte
          const error = await open(bytes).then(
            () => undefined,
            (e: unknown) => e,
          )
          if (error !== undefined) expect(error).toMatchObject({ name: 'FoveaError', code: 'format' })
        }
      }),
      { numRuns: 500 },
    )
  })

  it('a file on the disk, and closes it', async () => {
    const path = join(folder, 'bad.gguf')
    await writeFile(path, 'GGUF')
    await expect(openFile(path).then(openGguf)).rejects.toThrow('bad.gguf: cut short')
  })
})
