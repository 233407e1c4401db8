import { describe, expect, it } from 'vitest'
import { smallConfig, smallFiles, smallShapes, smallSources, smallWeights } from '../../test/files/small-model.ts'
import { bytesSource } from './files/byte-source.ts'
import { openGguf } from './files/gguf.ts'
import { openSafetensors } from './files/safetensors.ts'
import { openShardedSafetensors } from './files/sharded-safetensors.ts'
import { writeGguf } from './files/write-gguf.ts'
import { openCheckpointFromSources } from './open-sources.ts'

const open = async (changed: Readonly<Record<string, unknown>>) => {
  const checkpoint = await openCheckpointFromSources(smallSources({ ...(await smallFiles()), ...changed }))
  await checkpoint.close()
  return checkpoint
}
const opens = async (bytes: Uint8Array) => expect((await open({ 'model.safetensors': bytes })).spec.vocabSize).toBe(3)

/** The small model's weights with changes of its header and bytes after its data. */
async function edited(edit: (header: Record<string, unknown>, end: number) => void, extra = new Uint8Array()) {
  const bytes = await smallWeights()
  const length = Number(new DataView(bytes.buffer).getBigUint64(0, true))
  const header = JSON.parse(new TextDecoder().decode(bytes.subarray(8, 8 + length)))
  edit(header, bytes.byteLength - 8 - length)
  const text = new TextEncoder().encode(JSON.stringify(header))
  const whole = new Uint8Array(8 + text.byteLength + bytes.byteLength - 8 - length + extra.byteLength)
  new DataView(whole.buffer).setBigUint64(0, BigInt(text.byteLength), true)
  whole.set(text, 8)
  whole.set(bytes.subarray(8 + length), 8 + text.byteLength)
  whole.set(extra, whole.byteLength - extra.byteLength)
  return whole
}

describe('what nobody reads does not keep a model from opening', () => {
  it.each([
    ['C64', [1], 8],
    ['F8_E4M3', [3, 3], 9],
    ['F4', [4, 4], 8],
    ['F6_E2M3', [4], 3],
    ['a dtype of next year', [7, 7, 7], 5],
  ])('a tensor of dtype %s', async (dtype, shape, bytes) => {
    const add = (header: Record<string, unknown>, end: number) => {
      header['rotary.table'] = { dtype, shape, data_offsets: [end, end + bytes] }
    }
    const file = await edited(add, new Uint8Array(bytes).fill(1))
    await opens(file)
    const table = await openSafetensors(bytesSource('model.safetensors', file))
    expect(table.get('rotary.table')).toMatchObject({ dtype: 'opaque', storedAs: dtype, shape, byteLength: bytes })
    expect(await table.get('rotary.table').read()).toEqual(new Uint8Array(bytes).fill(1))
    await expect(async () => table.get('rotary.table').readRows(0, 1)).rejects.toMatchObject({ code: 'format' })
  })

  it('but a weight of such a dtype does, by its name', async () => {
    const spoil = (header: Record<string, unknown>) => {
      Object.assign(header['model.norm.weight'] as object, { dtype: 'F8_E5M2' })
    }
    const message = /model\.norm\.weight is F8_E5M2, which is not read as a weight; f32, f16/
    await expect(edited(spoil).then(opens)).rejects.toMatchObject({ code: 'format', message })
  })

  it('tensors of no bytes, and those of others', async () => {
    const add = (header: Record<string, unknown>, end: number) => {
      header['vision.empty'] = { dtype: 'F16', shape: [0, 9_007_199_254_740_991], data_offsets: [end, end] }
      header['optimizer.step'] = { dtype: 'I64', shape: [], data_offsets: [end, end + 8] }
      header['late.empty'] = { dtype: 'F8_E8M0', shape: [0], data_offsets: [end + 8, end + 8] }
    }
    await opens(await edited(add, new Uint8Array(8)))
  })

  it('zeros after the last tensor, up to a page; other bytes do', async () => {
    await opens(await edited(() => {}, new Uint8Array(3)))
    await opens(await edited(() => {}, new Uint8Array(4096)))
    await expect(edited(() => {}, new Uint8Array(4097)).then(opens)).rejects.toThrow('4097 bytes after')
    await expect(edited(() => {}, Uint8Array.of(0, 1)).then(opens)).rejects.toThrow('belong to no tensor')
  })

  it.each([[{ step: 3, done: null, nested: { a: [1] } }], [null], [[]], ['pt'], [{}]])(
    'metadata %j',
    async (metadata) => {
      await opens(await edited((header) => Object.assign(header, { __metadata__: metadata })))
    },
  )

  it('shards without tensors, and tensors that the index does not name', async () => {
    const shards = {
      'model-1.safetensors': await edited((header, end) => {
        header['x.more'] = { dtype: 'U8', shape: [2], data_offsets: [end, end + 2] }
      }, new Uint8Array(2)),
      'model-2.safetensors': Uint8Array.of(2, 0, 0, 0, 0, 0, 0, 0, 0x7b, 0x7d),
    }
    const map = Object.fromEntries(Object.keys(smallShapes).map((name) => [name, 'model-1.safetensors']))
    const index = { metadata: { total_size: 1e99 }, weight_map: map }
    const { 'model.safetensors': _, ...rest } = await smallFiles()
    const sources = smallSources({ ...rest, ...shards, 'model.safetensors.index.json': index })
    const checkpoint = await openCheckpointFromSources(sources)
    expect(checkpoint.byteLength).toBeGreaterThan(0)
    await checkpoint.close()
    const alone = await openShardedSafetensors(
      bytesSource('i', new TextEncoder().encode('{"weight_map":{}}')),
      async () => bytesSource('s', new Uint8Array()),
    )
    expect(alone.names()).toEqual([])
  })

  it('NaN and Infinity of Python in fields that are not read, a byte order mark', async () => {
    const text = JSON.stringify(smallConfig)
    const python = `\ufeff${text.slice(0, -1)}, "loss": NaN, "best": [Infinity, -Infinity, {"NaN": "Infinity"}]}`
    expect((await open({ 'config.json': python })).spec.hiddenSize).toBe(4)
    const generation = '{"temperature": Infinity, "eos_token_id": [2]}'
    expect((await open({ 'generation_config.json': generation })).spec.eosTokens).toEqual([2])
    // where they are read they are what they are, no fallback
    const read = text.replace('"max_position_embeddings":16', '"max_position_embeddings":Infinity')
    await expect(open({ 'config.json': read })).rejects.toThrow(/max_position_embeddings must be a whole number/)
    const eps = `${text.slice(0, -1)}, "rms_norm_eps": NaN}`
    await expect(open({ 'config.json': eps })).rejects.toThrow(/rms_norm_eps must be a number above 0/)
    await expect(open({ 'config.json': `${text.slice(0, -1)}, "loss": NaNs}` })).rejects.toThrow(/is no JSON/)
  })

  it.each([16, 34, 40, 99, 2 ** 32 - 1])(
    'a GGUF tensor of type %d, which is read where nobody needs to know it',
    async (type) => {
      const chunks: Uint8Array[] = []
      const sink = { write: async (bytes: Uint8Array) => void chunks.push(bytes.slice()) }
      const tensor = (name: string, fill: number) => ({
        name,
        dtype: 'f32' as const,
        shape: [2, 8],
        read: async () => new Uint8Array(64).fill(fill),
      })
      await writeGguf(sink, new Map(), [tensor('first', 1), tensor('odd one', 2), tensor('third', 3)])
      const bytes = new Uint8Array(Buffer.concat(chunks))
      const at = new TextDecoder('latin1').decode(bytes).indexOf('odd one') + 'odd one'.length + 4 + 16
      new DataView(bytes.buffer).setUint32(at, type, true)
      const table = await openGguf(bytesSource('model.gguf', bytes))
      expect(table.get('odd one')).toMatchObject({ dtype: 'opaque', byteLength: 64 })
      expect(table.get('odd one').storedAs).toMatch(/^(IQ2_XXS|TQ1_0|NVFP4|type \d+)$/)
      expect(new Set(await table.get('odd one').read())).toEqual(new Set([2]))
      expect(new Set(await table.get('third').read())).toEqual(new Set([3]))
    },
  )
})
