import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Device, Tensor } from '../device/device.ts'
import { openDevice } from '../device/index.ts'
import { findWebgpu } from '../device/webgpu-platform.ts'
import { contiguousStrides, FoveaError, type StorageDType, type TensorSpec } from '../tile/index.ts'
import { type AttentionOptions, attention, plan } from './index.ts'
import { causal } from './masks/index.ts'

/** A call by its sizes; `captured`: how many tensors its score function reads. */
interface Drawn {
  readonly dtype: 'f32' | 'f16'
  readonly batch: number
  readonly queries: number
  readonly keys: number
  readonly numHeads: number
  readonly headDim: number
  readonly valueDim: number
  readonly captured: number
  readonly sinks: boolean
  readonly mask: boolean
  readonly blocks: boolean
  readonly tile: number | null
  readonly badKey: boolean
}

const spec = (shape: readonly number[], dtype: StorageDType): TensorSpec => ({
  dtype,
  shape,
  strides: contiguousStrides(shape),
  offset: 0,
})

/** What `work` is refused with: code and message, without the name of the function that was called. */
async function refusalOf(work: () => Promise<unknown>): Promise<string> {
  try {
    await work()
    return 'none'
  } catch (error) {
    if (!(error instanceof FoveaError)) throw error
    return `${error.code} ${error.message.replace(/^(plan|attention): /, '')}`
  }
}

/** The refusals of the plan and of the call, made and run. */
async function bothOf(device: Device, drawn: Drawn): Promise<{ planned: string; called: string; lasting: number }> {
  const { dtype, batch, queries, keys, numHeads, headDim, valueDim } = drawn
  const specs = {
    query: spec([batch, queries, numHeads, headDim], dtype),
    key: spec([batch, keys, 1, headDim], dtype),
    value: spec([batch, keys, 1 + Number(drawn.badKey), valueDim], dtype),
    ...(drawn.sinks && { sinks: spec([numHeads], 'f32') }),
  }
  const captured = Array.from({ length: drawn.captured }, () => device.zeros([numHeads]))
  const [rows, columns] = [Math.ceil(queries / 16), Math.ceil(keys / 16)]
  const options: AttentionOptions = {
    ...(drawn.mask && { maskMod: causal }),
    ...(captured.length > 0 && {
      scoreMod: ({ score, head }) => captured.reduce((sum, tensor) => sum.add(tensor.at(head)), score),
    }),
    ...(drawn.blocks &&
      rows * columns < 1e5 && {
        blockMask: { blockSize: [16, 16] as const, blocks: new Uint8Array(rows * columns).fill(1) },
      }),
    ...(drawn.tile !== null && { tiling: { tileQ: drawn.tile, tileK: drawn.tile, padTo: 4 } }),
  }
  const before = device.memory.allocated
  const planned = await refusalOf(() => plan(device, { ...specs, ...options }))
  const lasting = device.memory.allocated - before
  const made: Tensor[] = []
  const make = ({ shape, dtype: of }: TensorSpec) => {
    const tensor = device.empty(shape, of)
    made.push(tensor)
    return tensor
  }
  const called = await refusalOf(async () => {
    const { query, key, value, sinks } = specs
    const tensors = {
      query: make(query),
      key: make(key),
      value: make(value),
      ...(sinks && { sinks: make(sinks) }),
    }
    const { output, lse } = await attention(device, { ...tensors, ...options })
    made.push(output, lse)
    await device.sync()
  })
  for (const tensor of [...made, ...captured]) tensor.dispose()
  return { planned, called, lasting }
}

const drawn = (sizes: { readonly rows: readonly number[]; readonly dtypes: readonly Drawn['dtype'][] }) =>
  fc.record<Drawn>({
    dtype: fc.constantFrom(...sizes.dtypes),
    batch: fc.constantFrom(0, 1, 2),
    queries: fc.constantFrom(1, 3, 40, ...sizes.rows),
    keys: fc.constantFrom(1, 70, 600),
    numHeads: fc.constantFrom(1, 4),
    headDim: fc.constantFrom(4, 40, 64, 300),
    valueDim: fc.constantFrom(4, 64, 256),
    captured: fc.integer({ min: 0, max: 7 }),
    sinks: fc.boolean(),
    mask: fc.boolean(),
    blocks: fc.boolean(),
    tile: fc.constantFrom(null, null, 16, 128, 1024),
    badKey: fc.constantFrom(false, false, false, false, true),
  })

/** Refused and not, both often enough to say something. */
async function agree(device: Device, calls: fc.Arbitrary<Drawn>, numRuns: number): Promise<ReadonlySet<string>> {
  const kinds = new Map<string, number>()
  await fc.assert(
    fc.asyncProperty(calls, async (call) => {
      const { planned, called, lasting } = await bothOf(device, call)
      // of two faults the caller meets that of its inputs first, the plan that of their sizes
      if (called.startsWith('limit device.empty') && /^(shape|unsupported) /.test(planned)) return
      // that memory is in use is found by the call, maybe before it comes to a limit
      if (!called.startsWith('memory ')) expect(planned).toBe(called)
      expect(lasting).toBe(0)
      const [kind = ''] = called.split(' ')
      kinds.set(kind, (kinds.get(kind) ?? 0) + 1)
    }),
    { numRuns },
  )
  return new Set(kinds.keys())
}

describe('plan refuses what the call refuses, in its words', () => {
  let small: Device
  let gpu: Device
  beforeAll(async () => {
    small = await openDevice('wasm', { wasm: { threads: 1, maxBytes: 2 ** 20 } })
    const owner = await findWebgpu('test', {})
    const adapter = (await owner.requestAdapter()) as GPUAdapter
    expect(adapter.info.description).not.toBe('')
    // with the least limits that WebGPU promises: 8 storage buffers, 128 MiB in each
    gpu = await openDevice('webgpu', { webgpu: { device: await adapter.requestDevice() } })
    expect(gpu.info.limits.maxStorageBuffersPerShaderStage).toBe(8)
  })
  afterAll(() => {
    small.dispose()
    gpu.dispose()
  })

  it('on WebAssembly with 1 MiB', async () => {
    const kinds = await agree(small, drawn({ rows: [500, 5000, 300_000], dtypes: ['f32', 'f16'] }), 150)
    expect(kinds).toEqual(new Set(['none', 'limit', 'memory', 'shape', 'unsupported']))
  })

  it('on WebGPU with the least limits', async () => {
    const kinds = await agree(gpu, drawn({ rows: [20_000_000], dtypes: ['f32'] }), 12)
    expect(kinds).toContain('limit')
  })

  it('names what is too large, or too many', async () => {
    const call = { dtype: 'f32', batch: 1, queries: 20, keys: 70, numHeads: 4, headDim: 64, valueDim: 64 } as const
    const plain = { ...call, captured: 0, sinks: true, mask: false, blocks: false, tile: null, badKey: false }
    expect(await bothOf(gpu, plain)).toEqual({ planned: 'none', called: 'none', lasting: 0 })
    expect((await bothOf(gpu, { ...plain, captured: 5 })).planned).toMatch(
      /^limit .*flash.*has 13 tensors, the device binds at most 8 storage buffers/,
    )
    expect((await bothOf(gpu, { ...plain, queries: 150_000, headDim: 4, valueDim: 256 })).planned).toMatch(
      /^limit output .* takes 614400000 bytes, the webgpu device allows 134217728/,
    )
    expect((await bothOf(gpu, { ...plain, queries: 10_000_000 })).planned).toMatch(
      /^limit device.empty: 10240000000 bytes/,
    )
    expect((await bothOf(gpu, { ...plain, tile: 1024 })).planned).toMatch(/^limit .*flash/)
    expect((await bothOf(small, { ...plain, queries: 5000, headDim: 4, valueDim: 256 })).planned).toMatch(
      /^limit output .* takes 20480000 bytes, the wasm device allows 1048576/,
    )
  })
})
