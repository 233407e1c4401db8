import { readFileSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { pagedAttention } from '../../src/attention/paged/paged-attention.ts'
import { pagedStateShapes } from '../../src/attention/paged/paged-states.ts'
import { pagedWorkCapacity, planPagedWork, workWidth } from '../../src/attention/paged/paged-work.ts'
import { createKvPages } from '../../src/cache/kv-pages.ts'
import { writeLatent } from '../../src/cache/write-latent.ts'
import type { Device, Tensor } from '../../src/device/index.ts'
import { quantizeMatrix } from '../../src/nn/block-formats/matrix-values.ts'
import { headLinear, placeHeadWeight, sumHeadRows } from '../../src/nn/head-weight.ts'
import { ropeTables } from '../../src/nn/rope-tables.ts'
import { readSafetensors } from '../conformance/read-safetensors.ts'
import { devices } from '../numerics/devices.ts'
import { relativeRms } from '../numerics/expect-close.ts'

type Numbers = ArrayLike<number>

/** What one sequence's attention is made of: rows of queries by head, what is kept of tokens, the matrices of heads. */
interface Recorded {
  readonly sizes: { readonly T: number; readonly N: number; readonly H: number; readonly rank: number }
  readonly dims: { readonly nope: number; readonly rope: number; readonly value: number }
  readonly scale: number
  /** is anything normalised and turned? */
  readonly weights: Numbers | null
  readonly queries: Numbers // [N, H, nope + rope]
  readonly compressed: Numbers // [T, rank + rope]
  readonly up: Numbers // [H, nope + value, rank]
  readonly output: Numbers // [N, H, value]
  /** what lies in the pages, and the queries that meet it */
  readonly kept: Numbers | null // [T, rank + rope]
  readonly absorbed: Numbers | null // [N, H, rank + rope]
}

const folder = new URL('../golden/latent/', import.meta.url)

function read(name: string) {
  const { tensors, metadata } = readSafetensors(readFileSync(new URL(`${name}.safetensors`, folder)))
  const of = (tensor: string): Float64Array => Float64Array.from(tensors[tensor]?.data ?? [])
  return {
    of,
    facts: metadata.case as { params: Record<string, number> } & Record<string, number>,
  }
}

/** x · Wᵀ, of rows x [n, inputs] and W [outputs, inputs]. */
function times(x: Float64Array, w: Float64Array, inputs: number): Float64Array {
  const [n, outputs] = [x.length / inputs, w.length / inputs]
  return Float64Array.from({ length: n * outputs }, (_, at) => {
    const [row, column] = [Math.floor(at / outputs), at % outputs]
    let sum = 0
    for (let i = 0; i < inputs; i++) sum += (x[row * inputs + i] as number) * (w[column * inputs + i] as number)
    return sum
  })
}

function rmsNormed(x: Float64Array, weight: Float64Array): Float64Array {
  const size = weight.length
  return x.map((value, i) => {
    const row = x.subarray(i - (i % size), i - (i % size) + size)
    const mean = row.reduce((sum, v) => sum + v * v, 0) / size
    return (value / Math.sqrt(mean + 1e-6)) * (weight[i % size] as number)
  })
}

/** Rows of the variants' cases, one batch row. */
function variant(name: string, b: number): Recorded {
  const { of, facts } = read(name)
  const {
    latent: rank = 0,
    nope = 0,
    rope = 0,
    valueDim: value = 0,
    heads: H = 0,
    scale = 0,
    queryLatent = 0,
  } = facts.params
  const C = of('kvDown').length / (rank + rope)
  const T = of('cachedKey').length / (rank + rope) / (name === 'plain' ? 2 : 1)
  const part = (data: Float64Array, width: number) => data.subarray(b * T * width, (b + 1) * T * width)
  const x = part(of('x'), C)
  const projected = queryLatent > 0 ? rmsNormed(times(x, of('queryDown'), C), of('queryNorm')) : x
  return {
    sizes: { T, N: T, H, rank },
    dims: { nope, rope, value },
    scale,
    weights: of('kvNorm'),
    queries: times(projected, of('queryUp'), queryLatent || C),
    compressed: times(x, of('kvDown'), C),
    up: of('kvUp'),
    output: part(of('output'), H * value),
    kept: part(of('cachedKey'), rank + rope),
    absorbed: part(of('absorbedQuery'), H * (rank + rope)),
  }
}

/** Decode of two queries, nothing normalised or turned. */
function decode(): Recorded {
  const { of, facts } = read('mla-decode')
  const {
    T = 0,
    H = 0,
    D: nope = 0,
    Dv: value = 0,
    latent: rank = 0,
    ropeDim: rope = 0,
    scale = 0,
    queries: N = 0,
  } = facts
  const beside = (a: Float64Array, aWidth: number, c: Float64Array, cWidth: number) =>
    Array.from({ length: a.length / aWidth }, (_, row) => [
      ...a.subarray(row * aWidth, (row + 1) * aWidth),
      ...c.subarray(row * cWidth, (row + 1) * cWidth),
    ]).flat()
  return {
    sizes: { T, N, H, rank },
    dims: { nope, rope, value },
    scale,
    weights: null,
    queries: beside(of('query'), nope, of('query_rope'), rope),
    compressed: beside(of('latent'), rank, of('key_rope'), rope),
    up: beside(of('up_key'), nope * rank, of('up_value'), value * rank),
    output: of('output'),
    kept: null,
    absorbed: null,
  }
}

const cases: readonly [string, () => Recorded][] = [
  ['decode of two queries', decode],
  ['queries of the input, first row', () => variant('plain', 0)],
  ['queries of the input, second row', () => variant('plain', 1)],
  ['queries of a latent', () => variant('query-latent', 0)],
]

describe.each(Object.entries(devices))('recorded latent attention on %s', (_, open) => {
  let device: Device
  beforeAll(async () => {
    device = await open()
  })
  afterAll(() => device?.dispose())

  it.each(cases.flatMap(([name, make]) => [1, 3].map((splits) => [name, splits, make] as const)))(
    '%s, splits %i',
    async (_name, splits, make) => {
      const recorded = make()
      const { sizes, dims, scale, weights } = recorded
      const { T, N, H, rank } = sizes
      const width = rank + dims.rope
      const f32 = (data: Numbers, shape: number[]) => device.tensor(Float32Array.from(data), shape)
      const i32 = (data: Numbers) => device.tensor(Int32Array.from(data), [data.length])
      const pageSize = 8
      const pages = createKvPages(device, {
        ...{ format: 'f32', pages: Math.ceil(T / pageSize), pageSize, numKvHeads: 1 },
        ...{ headDim: width, valueDim: rank, latent: true },
      })
      const inverseFrequencies = Array.from({ length: dims.rope / 2 }, (_, i) => 1e4 ** ((-2 * i) / dims.rope))
      const tables = ropeTables({ rotaryDim: dims.rope, inverseFrequencies, attentionFactor: 1 }, T)
      const up = placeHeadWeight(device, {
        ...{ name: 'up', numHeads: H, split: dims.nope },
        matrix: quantizeMatrix(Float32Array.from(recorded.up), H * (dims.nope + dims.value), rank, 'f32'),
      })
      // queries stand at the end of the tokens; those before them are written with queries of 0
      const queries = new Float32Array(T * H * (dims.nope + dims.rope))
      queries.set(Float32Array.from(recorded.queries), queries.length - recorded.queries.length)
      const heads = f32(queries, [T, H, dims.nope + dims.rope])
      const query = device.empty([T, H, width])
      const positions = Array.from({ length: T }, (_, t) => t)
      sumHeadRows(device, { x: heads.slice(2, 0, dims.nope), weight: up.first, output: query.slice(2, 0, rank) })
      writeLatent(device, {
        ...{
          compressed: f32(recorded.compressed, [T, width]),
          rotary: heads.slice(2, dims.nope, dims.nope + dims.rope),
        },
        ...{ positions: i32(positions), slots: i32(positions), pages, query },
        rope: weights && {
          tables: { ...tables, table: f32(tables.data, [tables.rows, 2 * tables.pairs]) },
          interleaved: true,
        },
        norm: weights && { eps: 1e-6, offset: 0, weight: f32(weights, [rank]) },
      })
      const own = query.slice(0, T - N, T)
      if (recorded.absorbed) expect(relativeRms(await numbers(own), recorded.absorbed)).toBeLessThan(1e-6)
      if (recorded.kept) {
        const [keys, values] = [await numbers(pages.keys[0] as Tensor), await numbers(pages.values[0] as Tensor)]
        const kept = positions.flatMap((t) => [
          ...values.subarray(t * rank, (t + 1) * rank),
          ...keys.subarray(t * dims.rope, (t + 1) * dims.rope),
        ])
        expect(relativeRms(kept, recorded.kept)).toBeLessThan(1e-6)
      }
      const tiling = { tileQ: 8, tileK: 8, padTo: 8, packHeads: true }
      const shape = { tileQ: 8, rowsPerQuery: H, splits }
      const capacity = pagedWorkCapacity({ ...shape, tokens: N, sequences: 1 })
      const { work } = planPagedWork({
        ...shape,
        tileK: 8,
        capacity,
        sequences: [{ row: 0, qBase: 0, qLength: N, kLength: T }],
      })
      const states = pagedStateShapes({ splits, tokens: N, numHeads: H, valueDim: rank })
      const attended = device.empty([N, H, rank])
      pagedAttention(device, {
        ...{ query: own, pages, tiling, splits, scale, output: attended },
        pageTable: device.tensor(
          Int32Array.from({ length: pages.pages }, (_, page) => page),
          [1, pages.pages],
        ),
        work: device.tensor(work, [capacity, workWidth]),
        states: {
          states: device.empty(states.states),
          stateSums: device.empty(states.stateSums),
          lse: device.empty(states.lse),
        },
      })
      const output = device.empty([N, H, dims.value])
      headLinear(device, { x: attended, weight: up.second, output })
      expect(relativeRms(await numbers(output), recorded.output)).toBeLessThan(2e-6)
    },
  )
})

async function numbers(tensor: Tensor): Promise<Float32Array> {
  return (await tensor.read()) as Float32Array
}
