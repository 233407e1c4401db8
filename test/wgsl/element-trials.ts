import {
  colRange,
  defineProgram,
  load,
  rowRange,
  type StorageDType,
  select,
  store,
  type Value,
} from '../../src/tile/index.ts'
import type { WgslTuning } from '../../src/wgsl/lower-program.ts'
import type { TensorData } from './kernel-runner.ts'
import { seededRandom } from './seeded-random.ts'
import { defaults, filled, type Trial } from './trial.ts'

const shapes: readonly (readonly [number, number])[] = [
  [1, 1],
  [1, 7],
  [5, 1],
  [3, 5],
  [16, 16],
  [33, 20],
  [64, 8],
  [7, 70],
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
  return {
    ...defaults,
    name: `${name} [${rows}, ${cols}]: ${Object.keys(functions).join(', ')}`,
    program,
    tensors,
    tuning,
    tolerance,
  }
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
  reducedAgain: (x) => x.colMax().colSum().mul(x.rowMin().rowMax()).add(x),
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
  const trials = [0, 7, 14, 21].map((from) =>
    functionsOf('element-wise', [9, 13], numbers(117), part(unary, from, Math.min(from + 7, count))),
  )
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
      const half = (grid + at) % 2 ? part(collective, 0, 8) : part(collective, 8, 15)
      return functionsOf(`collective, grid ${grid}`, [rows, cols], numbers(rows * cols), half, 'f32', tuning)
    }),
  )
}
