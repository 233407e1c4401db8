import {
  colRange,
  defineProgram,
  dot,
  load,
  loop,
  type Program,
  rowRange,
  select,
  type StorageDType,
  store,
  type Value,
  zeros,
} from '../../src/tile/index.ts'
import type { WgslTuning } from '../../src/wgsl/lower-program.ts'
import type { TensorData } from './kernel-runner.ts'
import { seededRandom } from './seeded-random.ts'

/** A program with its arguments: every output buffer must end up as the interpreter leaves it. */
export interface Trial {
  readonly name: string
  readonly program: Program
  readonly tensors: Readonly<Record<string, TensorData>>
  readonly scalars: Readonly<Record<string, number>>
  readonly grid: readonly [number, number, number]
  readonly tuning: WgslTuning
  /** of the largest value of the output */
  readonly tolerance: number
}

const filled = (n: number, value = Number.NaN) => Array.from({ length: n }, () => value)
const defaults = { scalars: {}, grid: [1, 1, 1] as const, tuning: {}, tolerance: 2e-6 }

const shapes: readonly (readonly [number, number])[] = [
  [1, 1],
  [1, 7],
  [5, 1],
  [3, 5],
  [16, 16],
  [33, 20],
  [64, 8],
  [7, 130],
]

/** One program that stores, for each of several functions of a tile x, its value; x comes from a dense tensor. */
function functionsOf(
  name: string,
  [rows, cols]: readonly [number, number],
  values: readonly number[],
  functions: Readonly<Record<string, (x: Value) => Value>>,
  dtype: StorageDType = 'f32',
  tuning: WgslTuning = {},
  tolerance = 1e-5,
): Trial {
  const tensors: Record<string, TensorData> = { x: { values, shape: [rows, cols] } }
  const program = defineProgram('trial', (p) => {
    const x = load(p.input('x', dtype, [null, null]), [rowRange(0, rows), colRange(0, cols)])
    for (const [label, fn] of Object.entries(functions)) {
      const value = fn(x)
      const shape = [value.rows, value.cols] as const
      p.emit(store(p.output(label, dtype, [null, null]), [rowRange(0, shape[0]), colRange(0, shape[1])], value))
      tensors[label] = { values: filled(shape[0] * shape[1], dtype === 'f32' ? Number.NaN : 77), shape }
    }
  })
  return { ...defaults, name: `${name} [${rows}, ${cols}]: ${Object.keys(functions).join(', ')}`, program, tensors, tuning, tolerance }
}

function part<T>(record: Readonly<Record<string, T>>, from: number, to: number): Record<string, T> {
  return Object.fromEntries(Object.entries(record).slice(from, to))
}

const unary: Record<string, (x: Value) => Value> = {
  neg: (x) => x.neg(),
  abs: (x) => x.abs(),
  exp: (x) => x.exp(),
  exp2: (x) => x.mul(10).exp2(),
  log: (x) => x.abs().add(0.1).log(),
  log2: (x) => x.abs().add(0.1).log2(),
  sqrt: (x) => x.abs().sqrt(),
  rsqrt: (x) => x.abs().add(0.1).rsqrt(),
  reciprocal: (x) => x.abs().add(0.1).reciprocal(),
  tanh: (x) => x.mul(30).tanh(),
  sigmoid: (x) => x.mul(20).sigmoid(),
  erf: (x) => x.mul(4).erf(),
  floor: (x) => x.mul(5).floor(),
  ceil: (x) => x.mul(5).ceil(),
  round: (x) => x.mul(4).round().div(2).round(),
  sign: (x) => x.sign(),
  power: (x) => x.mul(2).pow(3).add(x.pow(2)),
  remainder: (x) => x.mul(10).mod(3),
  toI32: (x) => x.mul(5e9).cast('i32').div(7).cast('f32'),
  toU32: (x) => x.mul(5e9).cast('u32').shr(3).cast('f32'),
  toF16: (x) => x.mul(7e-5).cast('f16').mul(1e4).add(x.mul(1000).cast('f16').mul(1e-3)),
  toBf16: (x) => x.cast('bf16').add(0),
  comparisons: (x) => x.lt(0).or(x.ge(0.5)).and(x.ne(0.25)).cast('f32').add(x.le(0.1).cast('i32')),
  infinities: (x) => {
    const masked = select(x.gt(0), x, Number.NEGATIVE_INFINITY)
    return select(masked.eq(Number.NEGATIVE_INFINITY), 1, x).add(masked.exp2())
  },
}

const collective: Record<string, (x: Value) => Value> = {
  rowSum: (x) => x.rowSum(),
  rowMax: (x) => x.rowMax(),
  rowMin: (x) => x.rowMin(),
  colSum: (x) => x.colSum(),
  colMax: (x) => x.colMax(),
  colMin: (x) => x.colMin(),
  total: (x) => x.rowSum().colSum(),
  cumsumRows: (x) => x.cumsumRows(),
  cumsumCols: (x) => x.cumsumCols(),
  reversedRows: (x) => x.cumsumRows({ reverse: true }),
  reversedCols: (x) => x.cumsumCols({ reverse: true }),
  integerMax: (x) => x.mul(100).cast('i32').rowMax().cast('f32'),
  transpose: (x) => x.T.add(1),
  broadcasts: (x) => x.add(rowRange(3, x.rows)).mul(colRange(-2, x.cols)).sub(x.rowSum()).add(x.colMax()),
}

const grids: readonly WgslTuning[] = [
  {},
  { threadRows: 4, threadCols: 8 },
  { threadRows: 2, threadCols: 32 },
  { threadRows: 32, threadCols: 2 },
]

export function elementTrials(): Trial[] {
  const { numbers, integers } = seededRandom(1)
  const count = Object.keys(unary).length
  // WGSL asks for an error of at most 2^-11, and SwiftShader makes use of it
  const circular = { sin: (x: Value) => x.mul(3).sin(), cos: (x: Value) => x.mul(3).cos() }
  const trials = [0, 9, 18].map((from) => functionsOf('element-wise', [9, 13], numbers(117), part(unary, from, Math.min(from + 9, count))))
  trials.push(functionsOf('element-wise', [9, 13], numbers(117), circular, 'f32', {}, 2 ** -11))
  const whole: Record<string, (x: Value) => Value> = {
    quotients: (x) => x.sub(50).div(rowRange(-2, 6)),
    remainders: (x) => x.sub(50).mod(colRange(-3, 10)),
    bits: (x) => x.shl(3).xor(5).and(1023).or(x.shr(1)),
    shifted: (x) => x.sub(50).shr(2).add(x.not()),
    signs: (x) => x.sub(50).sign().mul(x.sub(50).neg().abs()).min(20),
  }
  trials.push(functionsOf('integers', [6, 10], integers(60, 100), whole, 'i32'))
  return trials
}

export function collectiveTrials(): Trial[] {
  const { numbers } = seededRandom(2)
  return shapes.flatMap(([rows, cols], at) =>
    grids.flatMap((tuning, grid) => {
      // few rows of invocations hold many values each, which takes software GPUs long to compile
      if (rows > 16 && (tuning.threadRows ?? 32) < 8) return []
      const half = (grid + at) % 2 ? part(collective, 0, 7) : part(collective, 7, 14)
      return functionsOf(`collective, grid ${grid}`, [rows, cols], numbers(rows * cols), half, 'f32', tuning)
    }),
  )
}

export function dotTrials(): Trial[] {
  const { numbers } = seededRandom(3)
  const sizes: readonly (readonly [number, number, number])[] = [
    [1, 1, 1],
    [1, 9, 5],
    [8, 1, 12],
    [3, 5, 7],
    [16, 16, 16],
    [20, 36, 33],
    [64, 32, 50],
  ]
  const tunings: readonly WgslTuning[] = [{}, { slice: 8 }, { threadRows: 8, threadCols: 4, slice: 16 }]
  const orders = [
    [false, false],
    [true, false],
    [false, true],
    [true, true],
  ] as const
  return sizes.flatMap(([m, n, k]) =>
    [false, true].flatMap((held) =>
      tunings.map((tuning, at): Trial => {
        const tensors: Record<string, TensorData> = {}
        const program = defineProgram('trial', (p) => {
          orders.forEach(([ta, tb], order) => {
            const input = (label: string, rows: number, cols: number) => {
              tensors[label] = { values: numbers(rows * cols), shape: [rows, cols] }
              const param = p.input(label, 'f32', [rows, order % 2 ? cols : null], { alignment: cols % 4 ? 1 : 4 })
              const tile = load(param, [rowRange(0, rows), colRange(0, cols)])
              // a reduction keeps it in registers
              return held ? tile.sub(tile.rowMax()) : tile
            }
            const a = ta ? input(`a${order}`, k, m).T : input(`a${order}`, m, k)
            const b = tb ? input(`b${order}`, n, k).T : input(`b${order}`, k, n)
            tensors[`y${order}`] = { values: filled(m * n), shape: [m, n] }
            // the last one's right operand is a transpose inside a sum
            const right = order === 3 ? b.add(0.5) : b
            p.emit(store(p.output(`y${order}`, 'f32', [null, null]), [rowRange(0, m), colRange(0, n)], dot(a, right).add(1)))
          })
        })
        return { ...defaults, name: `dot [${m}, ${k}] [${k}, ${n}]${held ? ' from registers' : ''}, tuning ${at}`, program, tensors, tuning }
      }),
    ),
  )
}

export function storageTrials(): Trial[] {
  const { numbers, integers } = seededRandom(4)
  const dtypes: readonly StorageDType[] = ['f32', 'f16', 'bf16', 'i32', 'u32', 'i8', 'u8']
  const layouts = [
    { cols: 16, alignment: 8, stride: 16, offset: 0 },
    { cols: 16, alignment: 8, stride: 24, offset: 8 },
    { cols: 12, alignment: 4, stride: 16, offset: 4 },
    { cols: 13, alignment: 4, stride: 16, offset: 4 },
    { cols: 7, alignment: 1, stride: 9, offset: 3 },
  ]
  const trials = dtypes.flatMap((dtype) =>
    [true, false].map((known): Trial => {
      const rows = 5
      const wide = dtype === 'f32' || dtype === 'f16' || dtype === 'bf16'
      const tensors: Record<string, TensorData> = {}
      const program = defineProgram('trial', (p) => {
        for (const [n, { cols, alignment, stride, offset }] of layouts.entries()) {
          const x = p.input(`x${n}`, dtype, [null, known ? cols : null], { alignment })
          const y = p.output(`y${n}`, dtype, [null, known ? cols : null], { alignment })
          const at = [rowRange(p.programId(0).mul(4).sub(1), 4), colRange(0, 16)] as const
          p.emit(store(y, at, load(x, at).add(1), { where: rowRange(0, 4).ne(1) }))
          const length = offset + rows * stride
          const layout = { shape: [rows, cols], strides: [stride, 1], offset }
          tensors[`x${n}`] = { values: wide ? numbers(length, 100) : integers(length, 120), ...layout }
          tensors[`y${n}`] = { values: filled(length, 9), ...layout }
        }
      })
      // the interpreter adds in float64: a tie may round the other way
      const tolerance = dtype === 'f16' ? 1e-3 : dtype === 'bf16' ? 8e-3 : defaults.tolerance
      return { ...defaults, tolerance, name: `storage of ${dtype}, rows of ${known ? 'known' : 'run-time'} length`, program, tensors, grid: [2, 1, 1] }
    }),
  )
  const gather = defineProgram('trial', (p) => {
    const index = p.input('index', 'i32', [null])
    const x = p.input('x', 'f32', [null, null])
    const y = p.output('y', 'f16', [null, null])
    const rows = load(index, [rowRange(0, 9)])
    const value = load(x, [rows, colRange(-2, 11)], { where: colRange(0, 11).ne(3) })
    p.emit(store(y, [colRange(0, 11), rowRange(0, 9)], value))
  })
  trials.push({
    ...defaults,
    name: 'gather and scatter with indices out of range',
    program: gather,
    tensors: {
      index: { values: [3, 0, -1, 6, 7, 2, 100, 1], shape: [8] },
      x: { values: numbers(7 * 8), shape: [7, 8] },
      y: { values: filled(13 * 9, 5), shape: [13, 9] },
    },
  })
  return trials
}

export function loopTrials(): Trial[] {
  const { numbers } = seededRandom(5)
  const carries = defineProgram('trial', (p) => {
    const x = p.input('x', 'f32', [null, null])
    const y = p.output('y', 'f32', [null, null])
    const z = p.output('z', 'f32', [null, null])
    const count = p.scalar('count', 'i32')
    const start = { a: zeros([6, 10]), b: zeros([6, 10]).add(1), m: zeros([6, 1]), n: zeros([1, 1]) }
    const final = loop(
      { from: 0, to: count, step: 2 },
      start,
      (i, { a, b, m, n }, emit) => {
        const tile = load(x, [rowRange(i, 6), colRange(0, 10)])
        const inner = loop({ to: i }, { a, s: n }, (j, c) => ({ a: c.a.add(tile.mul(j)), s: c.s.add(j) }))
        emit(store(z, [i, colRange(0, 10)], tile.colSum()))
        return { a: b.add(tile), b: inner.a, m: m.max(tile.rowSum()), n: inner.s }
      },
      (effect) => p.emit(effect),
    )
    const sum = final.a.add(final.b.mul(3)).add(final.m).add(final.n)
    p.emit(store(y, [rowRange(0, 6), colRange(0, 10)], sum))
  })
  const trials = [0, 1, 7].map((count): Trial => ({
    ...defaults,
    name: `carried values, swapped, over ${count} rounds`,
    program: carries,
    tensors: {
      x: { values: numbers(90), shape: [9, 10] },
      y: { values: filled(60), shape: [6, 10] },
      z: { values: filled(90, 4), shape: [9, 10] },
    },
    scalars: { count },
  }))
  const branches = defineProgram('trial', (p) => {
    const x = p.input('x', 'f32', [null, null])
    const y = p.output('y', 'f32', [null, null])
    const flags = p.input('flags', 'i32', [null])
    const final = loop({ to: 3 }, { acc: zeros([8, 12]) }, (i, { acc }) => {
      const tile = load(x, [rowRange(i, 8), colRange(0, 12)])
      const masked = select(rowRange(0, 8).ge(colRange(0, 12)), tile.mul(2).exp(), Number.NEGATIVE_INFINITY)
      const chosen = select(load(flags, [i]).ne(0), tile, masked)
      return { acc: acc.add(chosen.rowMax()).add(select(load(flags, [i]).eq(0), 1, tile)) }
    })
    p.emit(store(y, [rowRange(0, 8), colRange(0, 12)], final.acc))
  })
  trials.push({
    ...defaults,
    name: 'branches on a scalar',
    program: branches,
    tensors: {
      x: { values: numbers(144), shape: [12, 12] },
      y: { values: filled(96), shape: [8, 12] },
      flags: { values: [1, 0, 1], shape: [3] },
    },
    tolerance: 1e-5,
  })
  const bounds = defineProgram('trial', (p) => {
    const x = p.input('x', 'f32', [null, null])
    const y = p.output('y', 'f32', [null, null])
    const tile = load(x, [rowRange(0, 5), colRange(0, 9)])
    const rounds = tile.mul(4).rowMax().colMax().cast('i32')
    const final = loop({ to: rounds }, { acc: zeros([5, 9]) }, (_, { acc }) => ({ acc: acc.add(tile.rowSum()) }))
    p.emit(store(y, [rowRange(0, 5), colRange(0, 9)], final.acc))
  })
  trials.push({
    ...defaults,
    name: 'bounds that the workgroup computes',
    program: bounds,
    tensors: { x: { values: numbers(45), shape: [5, 9] }, y: { values: filled(45), shape: [5, 9] } },
  })
  return trials
}
