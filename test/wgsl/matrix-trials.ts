import type { MaskMod, ScoreMod } from '../../src/attention/hooks.ts'
import { sigmoid, softmax, softpick } from '../../src/attention/normalizers/index.ts'
import { type FlashProgramSpec, flashProgram, itemFields } from '../../src/attention/softmax/flash-program.ts'
import { splitItemFields, splitKvProgram } from '../../src/attention/softmax/split-kv-program.ts'
import { gelu } from '../../src/nn/activations.ts'
import { matmulKernel } from '../../src/nn/matmul.ts'
import { contiguousStrides, load, type TensorParam } from '../../src/tile/index.ts'
import type { TensorData } from './kernel-runner.ts'
import { seededRandom } from './seeded-random.ts'
import type { Trial } from './trial.ts'

// Programs that subgroup matrices must take: attention with every hook, decode, matrix products; sizes odd and even.

const filled = (n: number) => Array.from({ length: n }, () => Number.NaN)
const product = (shape: readonly number[]) => shape.reduce((n, size) => n * size, 1)
const random = seededRandom(20261122)
const normal = (shape: readonly number[], scale = 1): TensorData => ({
  values: random.numbers(product(shape), scale),
  shape,
})
const out = (shape: readonly number[]): TensorData => ({ values: filled(product(shape)), shape })
const rows = (all: readonly (readonly number[])[]): TensorData => ({
  values: all.flat(),
  shape: [all.length, all[0]?.length ?? 0],
})

interface FlashTrial {
  readonly name: string
  readonly spec?: Partial<FlashProgramSpec>
  readonly queries?: number
  readonly keys?: number
  readonly causal?: boolean
  readonly scoreMod?: ScoreMod
  readonly maskMod?: MaskMod
  /** captured tensors, as the program names them */
  readonly captured?: Readonly<Record<string, TensorData>>
}

/** A tensor that a hook reads; the program calls the first one captured0. */
const capture = (dtype: TensorParam['dtype'], rank: number): TensorParam => {
  const sizes = Array.from({ length: rank }, () => null)
  return { kind: 'tensor', name: 'captured', dtype, sizes, access: 'read', alignment: 1, source: {} }
}
const bias = capture('f16', 3)
const documents = capture('i32', 1)

const causalMask: MaskMod = ({ q, k }) => q.ge(k)

/** One sequence of two heads: full tiles below the diagonal as one run, the rest as another. */
function flashTrial({
  name,
  spec: changes = {},
  queries = 200,
  keys = queries,
  causal = false,
  captured = {},
  ...hooks
}: FlashTrial): Trial {
  const spec: FlashProgramSpec = {
    dtype: 'f16',
    headDim: 64,
    valueDim: 64,
    groupSize: 1,
    tileQ: 64,
    tileK: 32,
    padTo: 16,
    alignment: 8,
    packed: false,
    sinks: false,
    normalizer: softmax,
    scoreMod: hooks.scoreMod ?? null,
    maskMod: causal ? causalMask : (hooks.maskMod ?? null),
    ...changes,
  }
  const { headDim, valueDim, tileQ, tileK } = spec
  const [batch, heads] = [1, 2]
  const kvHeads = heads / spec.groupSize
  const items: number[][] = []
  const runs: number[][] = []
  const end = Math.ceil(keys / tileK) * tileK
  for (let b = 0; b < batch; b++)
    for (let start = 0; start < queries; start += tileQ) {
      const first = runs.length
      const last = causal ? Math.min(end, Math.ceil((start + tileQ) / tileK) * tileK) : end
      const full = causal
        ? Math.min(Math.floor(start / tileK) * tileK, last)
        : hooks.maskMod
          ? 0
          : Math.floor(keys / tileK) * tileK
      if (full > 0) runs.push([0, full, 1])
      if (last > full) runs.push([full, last, 0])
      items.push([b, 0, start, 0, queries, 0, keys, first, runs.length])
    }
  if (items[0]?.length !== itemFields.length) throw new Error('flashTrial: items have other fields now')
  const scale = 1 / Math.sqrt(headDim)
  return {
    name,
    program: flashProgram(spec),
    grid: [items.length, heads, 1],
    tensors: {
      query: normal([batch, queries, heads, headDim], 2),
      key: normal([batch, keys, kvHeads, headDim], 2),
      value: normal([batch, keys, kvHeads, valueDim]),
      ...(spec.sinks && { sinks: normal([heads]) }),
      ...captured,
      items: rows(items),
      runs: rows(runs),
      output: out([batch, queries, heads, valueDim]),
      lse: out([batch, heads, queries]),
    },
    scalars: { scale, scaleLog2: scale * Math.LOG2E },
    tuning: {},
    tolerance: 2e-3,
  }
}

/** Decode of one query with grouped heads, the keys in two shares. */
function splitTrial(tileK: number, keys: number): Trial {
  const [heads, groupSize, dim] = [8, 4, 128]
  const share = Math.ceil(keys / 2 / tileK) * tileK
  const items = [0, 1].map((n) => [0, 0, 0, 0, 1, 0, keys, n, n + 1, n])
  if (items[0]?.length !== splitItemFields.length) throw new Error('splitTrial: items have other fields now')
  const end = Math.ceil(keys / tileK) * tileK
  const program = splitKvProgram({
    dtype: 'f16',
    headDim: dim,
    valueDim: dim,
    groupSize,
    tileQ: 16,
    tileK,
    padTo: 16,
    alignment: 8,
    packed: false,
    normalizer: softmax,
    scoreMod: null,
    maskMod: null,
  })
  return {
    name: `split-kv, ${keys} keys by ${tileK}`,
    program,
    grid: [2, heads / groupSize, 1],
    tensors: {
      query: normal([1, 1, heads, dim], 2),
      key: normal([1, keys, heads / groupSize, dim], 2),
      value: normal([1, keys, heads / groupSize, dim]),
      items: rows(items),
      runs: rows([
        [0, share, share <= keys ? 1 : 0],
        [share, end, 0],
      ]),
      states: out([2, 1, heads, dim]),
      stateSums: out([2, 2, heads, 1]),
    },
    scalars: { scale: 1 / Math.sqrt(dim) },
    tuning: {},
    tolerance: 2e-3,
  }
}

interface MatmulTrial {
  readonly name: string
  readonly size: readonly [M: number, N: number, K: number]
  readonly tiles?: readonly [M: number, N: number, K: number]
  readonly transposeA?: boolean
  readonly transposeB?: boolean
  readonly epilogue?: boolean
  /** added to an f32 output */
  readonly accumulate?: boolean
}

function matmulTrial(trial: MatmulTrial): Trial {
  const { name, size, tiles = [128, 128, 32], transposeA = false, transposeB = false, epilogue = false } = trial
  const { accumulate = false } = trial
  const [M, N, K] = size
  const spec = (shape: readonly number[]) =>
    ({ dtype: 'f16', shape, strides: contiguousStrides(shape), offset: 0 }) as const
  const [a, b] = [spec(transposeA ? [K, M] : [M, K]), spec(transposeB ? [N, K] : [K, N])]
  const output = { ...spec([M, N]), dtype: accumulate ? 'f32' : 'f16' } as const
  const bias = epilogue ? spec([N]) : null
  const [tileM, tileN, tileK] = tiles
  const { program, grid, scalars } = matmulKernel({
    a,
    b,
    bias,
    output,
    transposeA,
    transposeB,
    alpha: 0.5,
    epilogue: epilogue ? gelu : null,
    accumulate,
    tiles: { tileM, tileN, tileK },
  })
  const tensors = {
    a: normal(a.shape),
    b: normal(b.shape),
    ...(bias && { bias: normal(bias.shape) }),
    output: accumulate ? normal(output.shape) : out(output.shape),
  }
  return { name, program, grid, scalars, tensors, tuning: {}, tolerance: 2e-3 }
}

export function matrixTrials(): readonly Trial[] {
  return [
    flashTrial({ name: 'flash, causal', causal: true }),
    flashTrial({ name: 'flash, causal, 128 queries a tile', causal: true, spec: { tileQ: 128, tileK: 16 } }),
    flashTrial({
      name: 'flash, 128 wide',
      spec: { headDim: 128, valueDim: 128, tileQ: 128, tileK: 16 },
      queries: 130,
      keys: 77,
    }),
    flashTrial({ name: 'flash, one query', queries: 1, keys: 65 }),
    flashTrial({ name: 'flash, odd widths', spec: { headDim: 40, valueDim: 24 }, queries: 63, causal: true }),
    flashTrial({ name: 'flash, widths of four', spec: { headDim: 20, valueDim: 36, alignment: 4 }, queries: 70 }),
    flashTrial({ name: 'flash, no alignment', spec: { headDim: 17, valueDim: 33, alignment: 1 }, queries: 65 }),
    flashTrial({ name: 'flash, grouped heads', spec: { groupSize: 2 }, causal: true }),
    flashTrial({ name: 'flash, sinks', spec: { sinks: true }, causal: true }),
    flashTrial({ name: 'flash, values narrower than keys', spec: { headDim: 96, valueDim: 32 }, queries: 80 }),
    flashTrial({
      name: 'flash, a score of position and head',
      causal: true,
      scoreMod: ({ score, q, k, head }) => score.add(k.sub(q).mul(head.add(1).mul(0.25))),
    }),
    flashTrial({ name: 'flash, soft cap', scoreMod: ({ score }) => score.div(5).tanh().mul(5), causal: true }),
    flashTrial({ name: 'flash, rows that see nothing', maskMod: ({ q, k }) => q.sub(k).gt(3) }),
    flashTrial({ name: 'flash, window', maskMod: ({ q, k }) => q.ge(k).and(q.sub(k).le(20)) }),
    flashTrial({
      name: 'flash, dense bias',
      queries: 70,
      keys: 90,
      scoreMod: ({ score, q, k, head }) => score.add(load(bias, [head, q, k])),
      captured: { captured0: normal([2, 70, 90], 3) },
    }),
    flashTrial({
      name: 'flash, documents',
      queries: 130,
      maskMod: ({ q, k }) => load(documents, [q]).eq(load(documents, [k])),
      captured: { captured0: { values: Array.from({ length: 130 }, (_, t) => Math.floor(t / 37)), shape: [130] } },
    }),
    flashTrial({ name: 'flash, sigmoid', spec: { normalizer: sigmoid }, causal: true }),
    flashTrial({ name: 'flash, softpick', spec: { normalizer: softpick }, causal: true }),
    splitTrial(16, 200),
    splitTrial(32, 131),
    matmulTrial({ name: 'matmul', size: [256, 256, 64] }),
    matmulTrial({ name: 'matmul, wide tiles', size: [128, 512, 64], tiles: [128, 256, 32] }),
    matmulTrial({ name: 'matmul, ragged', size: [130, 141, 77] }),
    matmulTrial({ name: 'matmul, ragged, multiples of eight', size: [136, 72, 40] }),
    matmulTrial({ name: 'matmul, transposed', size: [128, 128, 64], transposeA: true, transposeB: true }),
    matmulTrial({ name: 'matmul, bias and gelu', size: [128, 200, 48], epilogue: true, transposeB: true }),
    matmulTrial({ name: 'matmul, gradient of a weight', size: [130, 72, 200], transposeA: true, accumulate: true }),
    matmulTrial({ name: 'matmul, few rows', size: [3, 128, 128], tiles: [16, 64, 64] }),
  ]
}
