import { traceNormalizer } from '../../src/attention/backward/weight-gradient.ts'
import type { MaskMod } from '../../src/attention/hooks.ts'
import { softmax } from '../../src/attention/normalizers/index.ts'
import type { BackwardProgramSpec } from '../../src/attention/softmax/backward/gradient-tile.ts'
import { keyGradientProgram } from '../../src/attention/softmax/backward/key-gradient-program.ts'
import { queryGradientProgram } from '../../src/attention/softmax/backward/query-gradient-program.ts'
import { workWidth } from '../../src/attention/softmax/backward/work-table.ts'
import {
  colRange,
  defineProgram,
  dot,
  load,
  loop,
  rowRange,
  sizeOf,
  store,
  type TensorParam,
  zeros,
} from '../../src/tile/index.ts'
import type { TensorData } from './kernel-runner.ts'
import { seededRandom } from './seeded-random.ts'
import { filled, type Trial } from './trial.ts'

// The backward of attention on subgroup matrices: two products that meet in a third, column vectors read in a loop.

const random = seededRandom(20261126)
const product = (shape: readonly number[]) => shape.reduce((n, size) => n * size, 1)
const normal = (shape: readonly number[], scale = 1): TensorData => ({
  values: random.numbers(product(shape), scale),
  shape,
})
const out = (shape: readonly number[]): TensorData => ({ values: filled(product(shape)), shape })

const documents: TensorParam = {
  ...{ kind: 'tensor', name: 'captured', dtype: 'i32', sizes: [null], access: 'read', alignment: 1, source: {} },
}
const causal: MaskMod = ({ q, k }) => q.ge(k)
const causalDocuments: MaskMod = ({ q, k }) => q.ge(k).and(load(documents, [q]).eq(load(documents, [k])))

interface GradientTrial {
  readonly of: 'keys' | 'queries'
  readonly tokens: number
  readonly headDim: number
  readonly tileQ: number
  readonly tileK: number
  readonly documents?: boolean
}

/** Two query heads over one key head; the row terms are drawn, as no forward has run. */
function gradientTrial(trial: GradientTrial): Trial {
  const { of, tokens: T, headDim: D, tileQ, tileK } = trial
  const groupSize = 2
  const spec: BackwardProgramSpec = {
    ...{ dtype: 'f16', headDim: D, valueDim: D, groupSize, tileQ, tileK, padTo: 16, alignment: 8, packed: false },
    ...{
      normalizer: softmax,
      scoreMod: null,
      scoreGradient: null,
      maskMod: trial.documents ? causalDocuments : causal,
    },
    gradient: traceNormalizer('trial', softmax, { sink: false, dLse: false }),
  }
  const [own, streamed] = of === 'keys' ? [tileK, tileQ] : [tileQ, tileK]
  const starts = Array.from({ length: Math.ceil(T / own) }, (_, i) => i * own)
  const end = Math.ceil(T / streamed) * streamed
  const runs: number[][] = []
  const items = starts.map((start) => {
    const first = runs.length
    const [from, to] = of === 'keys' ? [Math.floor(start / streamed) * streamed, end] : [0, Math.min(end, start + own)]
    for (const member of of === 'keys' ? [0, 1] : [0]) runs.push([from, to, 0, member, 0, 0, 0, 0, 0])
    return [0, 0, start, 0, T, 0, T, starts.length + first, starts.length + runs.length]
  })
  const table = [...items, ...runs]
  const scale = 1 / Math.sqrt(D)
  const [query, key] = [normal([1, T, 2, D], 2), normal([1, T, 1, D], 2)]
  return {
    name: `gradients of ${of}, ${T} tokens of ${D}${trial.documents ? ', documents' : ''}`,
    program: of === 'keys' ? keyGradientProgram({ ...spec, outputs: 'separate' }) : queryGradientProgram(spec),
    grid: [starts.length, of === 'keys' ? 1 : 2, 1],
    tensors: {
      ...{ query, key, value: normal([1, T, 1, D]), dOutput: normal([1, T, 2, D]) },
      // lse in log2 units, −delta
      rows: { values: [...random.numbers(2 * T).map((x) => x + 8), ...random.numbers(2 * T)], shape: [2, 1, 2, T] },
      work: { values: table.flat(), shape: [table.length, workWidth] },
      ...(of === 'keys' ? { dKey: out(key.shape), dValue: out(key.shape) } : { dQuery: out(query.shape) }),
      ...(trial.documents && {
        captured0: { values: Array.from({ length: T }, (_, t) => Math.floor(t / 41)), shape: [T] },
      }),
    },
    scalars: { scale, scaleLog2: scale * Math.LOG2E, firstItem: 0 },
    tuning: {},
    tolerance: 3e-3,
  }
}

/** output = Σ_k aᵀ b_k: the left operand lies transposed and stays for the whole loop. */
function stayingTrial(): Trial {
  const [rows, cols, depth, count] = [32, 64, 32, 3]
  const program = defineProgram('staying', (p) => {
    const a = p.input('a', 'f16', [null, null], { alignment: 8 })
    const b = p.input('b', 'f16', [null, null], { alignment: 8 })
    const output = p.output('output', 'f32', [null, null])
    const row = rowRange(p.programId(0).mul(rows), rows)
    const left = load(a, [rowRange(p.programId(0).mul(depth), depth), colRange(0, rows)]).T
    const { acc } = loop({ to: sizeOf(b, 0), step: depth }, { acc: zeros([rows, cols]) }, (k, { acc }) => ({
      acc: acc.add(dot(left, load(b, [rowRange(k, depth), colRange(0, cols)]))),
    }))
    p.emit(store(output, [row, colRange(0, cols)], acc))
  })
  return {
    name: 'a transposed left operand that stays',
    program,
    grid: [2, 1, 1],
    tensors: {
      a: normal([2 * depth, rows]),
      b: normal([count * depth, cols]),
      output: out([2 * rows, cols]),
    },
    scalars: {},
    tuning: {},
    tolerance: 2e-3,
  }
}

export function gradientTrials(): readonly Trial[] {
  return [
    gradientTrial({ of: 'keys', tokens: 150, headDim: 64, tileQ: 16, tileK: 128 }),
    gradientTrial({ of: 'keys', tokens: 77, headDim: 128, tileQ: 16, tileK: 64, documents: true }),
    gradientTrial({ of: 'queries', tokens: 150, headDim: 64, tileQ: 128, tileK: 32 }),
    gradientTrial({ of: 'queries', tokens: 77, headDim: 128, tileQ: 64, tileK: 16, documents: true }),
    stayingTrial(),
  ]
}
