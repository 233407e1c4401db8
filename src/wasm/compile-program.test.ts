import { describe, expect, it } from 'vitest'
import { builds, runOnInterpreter, runOnWasm, type TestRun, type TestTensor } from '../../test/wasm/kernel-runner.ts'
import type { StorageDType } from '../ir/dtype.ts'
import type { Program } from '../ir/schedule.ts'
import {
  colRange,
  defineProgram,
  dot,
  load,
  loop,
  rowRange,
  scalar,
  select,
  sizeOf,
  store,
  type Value,
  zeros,
} from '../tile/index.ts'
import { compileProgram } from './compile-program.ts'
import { writeFrame } from './emit/kernel-frame.ts'

let seed = 12345
function random(): number {
  seed = (Math.imul(seed, 1103515245) + 12345) & 0x7fffffff
  return seed / 0x40000000 - 1
}
const values = (count: number, make: () => number = random) => Array.from({ length: count }, make)
const integers = (count: number, low: number, high: number) =>
  values(count, () => Math.floor(((random() + 1) / 2) * (high - low + 1)) + low)

function check(program: Program, run: TestRun, tolerance = 2e-6): void {
  const expected = runOnInterpreter(program, run)
  for (const build of builds) {
    const got = runOnWasm(program, run, build)
    for (const [name, wanted] of Object.entries(expected)) {
      const scale = Math.max(1e-30, ...wanted.filter(Number.isFinite).map(Math.abs))
      const dtype = run.tensors[name]?.dtype as StorageDType
      const bound =
        (tolerance === 0
          ? 0
          : dtype === 'f16'
            ? 2 ** -10
            : dtype === 'bf16'
              ? 2 ** -7
              : dtype === 'f32'
                ? tolerance
                : 0) * scale
      wanted.forEach((value, index) => {
        const actual = got[name]?.[index] as number
        // where nothing is stored the interpreter leaves NaN, and so does the memory, except in integers
        if (
          Number.isNaN(value)
            ? dtype.includes('f') && !Number.isNaN(actual)
            : !(Object.is(value, actual) || Math.abs(value - actual) <= bound)
        )
          throw new Error(`${build.name} ${name}[${index}]: ${actual}, expected ${value} (± ${bound})`)
      })
    }
  }
}

/** out = body(inputs), each input a whole tensor. */
function elementwise(
  inputs: readonly TestTensor[],
  body: (...tiles: Value[]) => Value,
  storage: StorageDType = 'f32',
  tolerance?: number,
): void {
  let shape: number[] = []
  const program = defineProgram('op', (p) => {
    const tiles = inputs.map(({ dtype, shape: [rows = 1, cols = 1] }, index) =>
      load(p.input(`in${index}`, dtype, [null, null]), [rowRange(0, rows), colRange(0, cols)]),
    )
    const result = body(...tiles)
    shape = [result.rows, result.cols]
    p.emit(
      store(
        p.output('out', storage, [null, null]),
        [rowRange(0, result.rows), colRange(0, result.cols)],
        result.dtype === 'bool' ? result.cast('i32') : result,
      ),
    )
  })
  check(
    program,
    {
      tensors: {
        ...Object.fromEntries(inputs.map((input, index) => [`in${index}`, input])),
        out: { dtype: storage, shape },
      },
    },
    tolerance,
  )
}
const tensor = (rows: number, cols: number, make?: () => number): TestTensor => ({
  dtype: 'f32',
  shape: [rows, cols],
  data: values(rows * cols, make),
})
const ints = (rows: number, cols: number, low = -50, high = 50, dtype: StorageDType = 'i32'): TestTensor => ({
  dtype,
  shape: [rows, cols],
  data: integers(rows * cols, low, high),
})

const shapes = [
  [1, 1],
  [1, 7],
  [5, 1],
  [4, 4],
  [3, 9],
  [13, 33],
  [48, 64],
] as const

describe('reductions to one number', () => {
  // the neighbouring rows hold what a sum of 0 outside would not
  const rows = (dtype: StorageDType, cols: number): TestTensor => ({
    dtype,
    shape: [3, cols],
    data: values(3 * cols, () => Math.floor(random() * 50) + (dtype === 'u8' ? 60 : 0)),
  })
  const reduced = (tile: number, dtype: StorageDType, of: (x: Value) => Value) =>
    defineProgram('reduced', (p) => {
      const x = p.input('x', dtype, [null, null])
      const out = p.output('out', 'f32', [null])
      p.emit(store(out, [p.programId(0)], of(load(x, [p.programId(0), colRange(0, tile)])).cast('f32')))
    })
  const on = (program: Program, x: TestTensor) =>
    check(program, { tensors: { x, out: { dtype: 'f32', shape: [3] } }, grid: [3, 1, 1] })

  it.each([
    [5, 8, 'f32'],
    [13, 64, 'f16'],
    [7, 32, 'bf16'],
    [9, 16, 'i32'],
    [21, 40, 'i8'],
    [3, 12, 'u8'],
  ] as const)('read rows of %i in tiles of %i of %s as 0 beyond their end', (cols, tile, dtype) => {
    on(
      reduced(tile, dtype, (x) => x.cast('f32').rowSum()),
      rows(dtype, cols),
    )
    on(
      reduced(tile, dtype, (x) => x.cast('f32').add(100).rowMax()),
      rows(dtype, cols),
    )
    on(
      reduced(tile, dtype, (x) => x.cast('f32').sub(100).mul(x.cast('f32').sub(1)).rowMin()),
      rows(dtype, cols),
    )
  })

  it('in the last part of a loop, and under a choice that a scalar makes', () => {
    for (const cols of [8, 15, 16, 17, 31]) {
      const program = defineProgram('parts', (p) => {
        const x = p.input('x', 'f32', [null, null])
        const out = p.output('out', 'f32', [null])
        const row = p.programId(0)
        const { sum } = loop({ to: sizeOf(x, 1), step: 16 }, { sum: scalar(0) }, (from, { sum }) => {
          const part = load(x, [row, colRange(from, 16)])
          return { sum: sum.add(row.gt(1).select(part.mul(2), part.add(3)).rowSum()) }
        })
        p.emit(store(out, [row], sum))
      })
      on(program, rows('f32', cols))
    }
  })

  it('at the very end of memory', () => {
    const program = reduced(4096, 'f32', (x) => x.rowSum())
    for (const build of builds) {
      const kernel = compileProgram(program, build)
      const memory = new WebAssembly.Memory({ initial: 4, maximum: 65536 })
      const end = memory.buffer.byteLength
      new Float32Array(memory.buffer, end - 20, 5).set([1, 2, 3, 4, 5])
      const args = [
        { kind: 'tensor', pointer: end - 20, shape: [1, 5], strides: [5, 1], offset: 0 },
        { kind: 'tensor', pointer: 2048, shape: [1], strides: [1], offset: 0 },
      ] as const
      writeFrame(program.name, kernel.frame, args, new DataView(memory.buffer), 1024)
      const instance = new WebAssembly.Instance(new WebAssembly.Module(kernel.encode(false)), { env: { memory } })
      const tile = instance.exports.tile as (...values: number[]) => void
      tile(1024, 65536, 0, 0, 0)
      expect(new Float32Array(memory.buffer, 2048, 1)[0], build.name).toBe(15)
    }
  })
})

describe('element-wise operations', () => {
  it.each(shapes)('computes floats over [%i, %i]', (rows, cols) => {
    const [a, b] = [tensor(rows, cols), tensor(rows, cols, () => random() * 3 + 4)]
    elementwise([a, b], (x, y) => x.add(y).mul(x.sub(y)).div(y).max(x.mul(2)).min(3))
    elementwise([a, b], (x, y) => select(x.lt(0.1).and(y.ge(4).or(x.eq(y))), x.neg(), y.abs()))
    elementwise([a, b], (x, y) =>
      x.floor().add(y.ceil()).add(x.mul(5).round()).add(x.sign()).add(y.rsqrt()).add(y.reciprocal()),
    )
    elementwise([a, b], (x, y) => y.mod(x.abs().add(0.75)))
  })
  it.each(shapes)('computes integers over [%i, %i]', (rows, cols) => {
    for (const dtype of ['i32', 'u32'] as const) {
      const [a, b] = [
        ints(rows, cols, dtype === 'u32' ? 0 : -50, 50, dtype),
        ints(rows, cols, dtype === 'u32' ? 0 : -6, 6, dtype),
      ]
      elementwise([a, b], (x, y) => x.div(y).add(x.mod(y)), dtype)
      elementwise([a, b], (x, y) => x.mul(y).sub(x).max(y).min(40), dtype)
      elementwise(
        [a, b],
        (x, y) =>
          x
            .and(y)
            .xor(x.or(7))
            .add(x.shl(3))
            .add(x.shr(2))
            .add(x.shr(y.and(3))),
        dtype,
      )
      elementwise([a, b], (x, y) => x.lt(y).or(x.eq(y)).and(x.ne(3)).not(), 'i32')
      elementwise([a, b], (x, y) => x.neg().add(y.abs()).add(x.sign()).add(y.not()), dtype)
      elementwise([a, b], (x, y) => x.cast('f32').mul(0.5).add(y))
    }
  })
  it('broadcasts rows, columns and scalars', () => {
    elementwise([tensor(13, 21), tensor(13, 1), tensor(1, 21), tensor(1, 1)], (t, r, c, s) => t.add(r).mul(c).sub(s))
    elementwise([tensor(13, 1), tensor(1, 21)], (r, c) => r.mul(c))
    elementwise([tensor(6, 1), tensor(1, 1)], (r, s) => r.mul(s).broadcastTo(6, 10))
    elementwise([tensor(9, 9)], (t) => select(rowRange(2, 9).ge(colRange(0, 9)), t, 0))
  })
  it('converts between dtypes', () => {
    const wild = () =>
      [0, -0, 1e10, -1e10, Number.NaN, Number.POSITIVE_INFINITY, 3.7, -3.7, 65519, 65520, 1e-7, 6e-8, 2.5e-8][
        Math.floor((random() + 1) * 6.4)
      ] as number
    elementwise([tensor(7, 9, wild)], (x) => x.cast('i32'), 'i32')
    elementwise([tensor(7, 9, wild)], (x) => x.cast('u32'), 'u32')
    elementwise([tensor(7, 9, wild)], (x) => x.cast('bool').cast('f32'))
    elementwise([tensor(7, 9, wild)], (x) => x, 'f16', 0)
    elementwise([tensor(7, 9)], (x) => x.cast('f16').add(1), 'f32', 5e-4)
  })
  it('evaluates one side of a uniform select, and picks the right one', () => {
    for (const flag of [0, 1]) {
      elementwise([ints(1, 1, flag, flag), tensor(12, 20), tensor(12, 20)], (f, x, y) => {
        const picked = select(f.ne(0), x, select(f.eq(0), y.exp(), 5))
        return picked.mul(picked).add(picked.rowMax())
      })
    }
  })
})

describe('functions', () => {
  const functions = ['exp', 'exp2', 'log', 'log2', 'sqrt', 'sin', 'cos', 'tanh', 'sigmoid', 'erf'] as const
  it.each(functions)('%s is accurate to a few units in the last place', (fn) => {
    const positive = fn === 'log' || fn === 'log2' || fn === 'sqrt'
    const spread = fn === 'sin' || fn === 'cos' ? 2000 : fn === 'exp' || fn === 'exp2' ? 80 : 6
    const inputs = values(4096, () => Math.fround(positive ? 2 ** (random() * 100) : random() * spread))
    const program = defineProgram('fn', (p) => {
      const x = load(p.input('in0', 'f32', [null, null]), [rowRange(0, 64), colRange(0, 64)])
      p.emit(store(p.output('out', 'f32', [null, null]), [rowRange(0, 64), colRange(0, 64)], (x as Value)[fn]()))
    })
    const run: TestRun = {
      tensors: { in0: { dtype: 'f32', shape: [64, 64], data: inputs }, out: { dtype: 'f32', shape: [64, 64] } },
    }
    const wanted = runOnInterpreter(program, run).out as number[]
    for (const build of builds) {
      const got = runOnWasm(program, run, build).out as number[]
      let worst = 0
      wanted.forEach((value, index) => {
        worst = Math.max(worst, Math.abs((got[index] as number) - value) / Math.max(Math.abs(value), 1e-30) / 2 ** -24)
      })
      expect(worst).toBeLessThan(6)
    }
  })
  it('keeps the special values', () => {
    const special = [Number.NEGATIVE_INFINITY, -1000, -127.5, -0, 0, 128, 1000, Number.POSITIVE_INFINITY, Number.NaN]
    const input: TestTensor = { dtype: 'f32', shape: [1, special.length], data: special }
    for (const fn of ['exp', 'exp2', 'tanh', 'sigmoid', 'erf', 'log', 'log2'] as const)
      elementwise([input], (x) => x[fn](), 'f32', 1e-6)
  })
  it('raises to powers', () => {
    elementwise([tensor(4, 16, () => random() * 3), ints(4, 16, -4, 4)], (x, y) => x.pow(y), 'f32', 1e-5)
    elementwise([tensor(4, 16, () => random() + 1.5)], (x) => x.pow(0.3).add(x.pow(2)), 'f32', 1e-5)
  })
})

describe('reductions, scans and transposes', () => {
  it.each([
    [1, 9],
    [7, 1],
    [5, 3],
    [13, 33],
    [48, 70],
  ] as const)('over [%i, %i]', (rows, cols) => {
    const t = tensor(rows, cols)
    elementwise([t], (x) => x.sub(x.rowMax()).exp().rowSum())
    elementwise([t], (x) => x.colSum().mul(x.colMax()).add(x.colMin()))
    elementwise([t], (x) => x.rowMin().add(x.rowSum().colSum()))
    elementwise([t], (x) => x.div(x.abs().rowSum().rowMax().colMax()))
    elementwise([t], (x) => x.cumsumRows().add(x.cumsumCols({ reverse: true })))
    elementwise([t], (x) => x.cumsumRows({ reverse: true }).sub(x.mul(2).cumsumCols()))
    elementwise([t], (x) => x.mul(2).T.add(x.T.exp()))
    const n = ints(rows, cols)
    elementwise([n], (x) => x.rowSum().add(x.rowMax()).sub(x.rowMin()), 'i32')
    elementwise([n], (x) => x.colMax().add(x.cumsumRows().colSum()), 'i32')
  })
})

describe('dot', () => {
  const sizes = [
    [1, 1, 1],
    [1, 64, 5],
    [6, 8, 8],
    [7, 5, 3],
    [13, 17, 33],
    [2, 40, 20],
    [3, 9, 13],
    [4, 12, 4],
    [5, 31, 10],
    [96, 64, 64],
    [18, 256, 300],
  ] as const
  it('multiplies sums that were reduced over more columns than a lane holds', () => {
    elementwise([tensor(1, 17), tensor(1, 17)], (a, b) => dot(a.rowMax(), b.rowSum()), 'f32', 1e-5)
    elementwise([tensor(1, 17)], (a) => dot(a.rowMax(), a.rowSum()), 'f32', 1e-5)
  })
  it.each(sizes)('multiplies [%i, %i] by [.., %i], transposed or not', (m, k, n) => {
    elementwise([tensor(m, k), tensor(k, n)], (a, b) => dot(a, b), 'f32', 1e-5)
    elementwise([tensor(m, k), tensor(n, k)], (a, b) => dot(a.mul(0.5), b.T), 'f32', 1e-5)
    elementwise([tensor(k, m), tensor(n, k)], (a, b) => dot(a.T, b.T).add(1), 'f32', 1e-5)
    elementwise([tensor(k, m), tensor(k, n)], (a, b) => dot(a.T, b.exp()), 'f32', 1e-5)
    elementwise(
      [tensor(m, k), tensor(k, n), tensor(m, n), tensor(m, 1)],
      (a, b, c, r) => c.exp().mul(r.exp()).add(dot(a, b)),
      'f32',
      1e-5,
    )
    elementwise([tensor(m, k), tensor(k, n)], (a, b) => dot(a, b).add(dot(a.exp(), b)).rowMax(), 'f32', 1e-5)
  })
  it('repeats a product of one row or one column along the sum that it joins', () => {
    const base = tensor(9, 11)
    const sum = (a: Value, b: Value, c: Value) => {
      const { acc } = loop({ to: 2 }, { acc: c }, (i, { acc }) => ({ acc: acc.add(dot(a.mul(i.add(1)), b)) }))
      return acc
    }
    elementwise([tensor(1, 6), tensor(6, 11), base], sum, 'f32', 1e-5)
    elementwise([tensor(9, 6), tensor(6, 1), base], sum, 'f32', 1e-5)
  })
})

describe('loads and stores', () => {
  const dtypes = ['f32', 'f16', 'bf16', 'i32', 'u32', 'i8', 'u8'] as const
  it.each(dtypes)('reads and writes %s, 0 outside, nothing outside', (dtype) => {
    const float = dtype.includes('f')
    const data = float ? values(17 * 19) : integers(17 * 19, dtype.startsWith('u') ? 0 : -100, 100)
    for (const [row, col] of [
      [0, 0],
      [-3, 2],
      [9, -2],
      [4, 8],
      [30, 0],
    ] as const) {
      const program = defineProgram('copy', (p) => {
        const from = p.input('from', dtype, [null, null])
        const to = p.output('to', dtype, [null, null])
        const [r, c] = [p.scalar('r', 'i32'), p.scalar('c', 'i32')]
        const tile = load(from, [rowRange(r, 10), colRange(c, 13)])
        p.emit(
          store(to, [rowRange(r, 10), colRange(c, 13)], float ? tile.add(1) : tile, { where: rowRange(0, 10).ne(3) }),
        )
        p.emit(store(p.output('tile', dtype, [null, null]), [rowRange(0, 10), colRange(0, 13)], tile))
      })
      check(program, {
        tensors: {
          from: { dtype, shape: [17, 19], data },
          to: { dtype, shape: [17, 19] },
          tile: { dtype, shape: [10, 13] },
        },
        scalars: { r: row, c: col },
      })
    }
  })
  it('gathers and scatters by computed indices', () => {
    const program = defineProgram('gather', (p) => {
      const table = p.input('table', 'f32', [null, null])
      const rows = p.input('rows', 'i32', [null])
      const r = load(rows, [rowRange(0, 11)])
      const c = colRange(0, 9)
      const picked = load(table, [r, c.mul(2)], { where: c.ne(4) })
      p.emit(store(p.output('picked', 'f32', [null, null]), [rowRange(0, 11), c], picked))
      p.emit(
        store(p.output('turned', 'f32', [null, null]), [c, rowRange(0, 11)], picked.mul(3), {
          where: c.lt(rowRange(0, 11)),
        }),
      )
      p.emit(store(p.output('lines', 'f32', [null, null]), [r, 1], load(table, [r, 3])))
      p.emit(store(p.output('one', 'f32', [null]), [2], load(table, [r.rowMax().colMax().min(4), scalar(1, 'i32')])))
    })
    const data = [3, 0, -1, 5, 2, 19, 18, 40, 7, 1, 4]
    check(program, {
      tensors: {
        table: tensor(20, 15),
        rows: { dtype: 'i32', shape: [11], data },
        picked: { dtype: 'f32', shape: [11, 9] },
        turned: { dtype: 'f32', shape: [9, 11] },
        lines: { dtype: 'f32', shape: [20, 2] },
        one: { dtype: 'f32', shape: [5] },
      },
    })
  })
  it('follows strides and offsets', () => {
    const program = defineProgram('strided', (p) => {
      const from = p.input('from', 'f32', [null, null, 5])
      p.emit(
        store(
          p.output('to', 'f32', [null, null]),
          [rowRange(0, 6), colRange(0, 5)],
          load(from, [p.programId(1), rowRange(0, 6), colRange(0, 5)]),
          { where: p.programId(1).eq(1) },
        ),
      )
    })
    check(program, {
      tensors: {
        from: { dtype: 'f32', shape: [2, 6, 5], data: values(200), strides: [5, 16, 1], offset: 7 },
        to: { dtype: 'f32', shape: [6, 5] },
      },
      grid: [1, 2, 1],
    })
  })
})

describe('loops', () => {
  it('carries scalars, rows and tiles, and swaps them', () => {
    const program = defineProgram('loops', (p) => {
      const x = load(p.input('x', 'f32', [null, null]), [rowRange(0, 7), colRange(0, 10)])
      const n = p.scalar('n', 'i32')
      const start = { a: x, b: x.mul(2), m: x.rowMax(), s: scalar(0, 'i32'), t: scalar(1, 'i32'), acc: zeros([7, 10]) }
      const out = loop({ to: n, step: 2 }, start, (i, { a, b, m, s, t, acc }) => {
        const inner = loop({ from: i, to: n }, { sum: zeros([7, 1]), tile: acc }, (j, { sum, tile }) => ({
          sum: sum.add(a.rowSum().mul(j)),
          tile: tile.mul(m).add(dot(a, b.T).rowSum()),
        }))
        return {
          a: b,
          b: a.add(i),
          m: m.mul(0.5).add(inner.sum.mul(0.01)),
          s: t,
          t: s.add(t),
          acc: inner.tile.mul(0.1),
        }
      })
      const write = (name: string, value: Value) =>
        p.emit(store(p.output(name, 'f32', [null, null]), [rowRange(0, value.rows), colRange(0, value.cols)], value))
      write('a', out.a)
      write('b', out.b.add(out.s).add(out.t))
      write('m', out.m)
      write('acc', out.acc)
    })
    for (const n of [0, 1, 5, 8]) {
      const shape = [7, 10]
      check(
        program,
        {
          tensors: {
            x: tensor(7, 10),
            a: { dtype: 'f32', shape },
            b: { dtype: 'f32', shape },
            m: { dtype: 'f32', shape: [7, 1] },
            acc: { dtype: 'f32', shape },
          },
          scalars: { n },
        },
        1e-5,
      )
    }
  })
  it('stores from inside, over a grid', () => {
    const program = defineProgram('effects', (p) => {
      const x = p.input('x', 'f32', [null, null])
      const out = p.output('out', 'f32', [null, null])
      loop(
        { to: sizeOf(x, 0), step: 4 },
        { total: zeros([1, 6]) },
        (i, { total }, emit) => {
          const rows = load(x, [rowRange(i, 4), colRange(p.programId(0).mul(6), 6)])
          const next = total.add(rows.colSum())
          emit(store(out, [rowRange(i, 4), colRange(p.programId(0).mul(6), 6)], rows.mul(2).add(next)))
          return { total: next }
        },
        p.emit,
      )
    })
    check(program, { tensors: { x: tensor(18, 20), out: { dtype: 'f32', shape: [18, 20] } }, grid: [4, 1, 1] })
  })
  it('multiplies matrices by tiles, with a state that is both operand and sum', () => {
    const program = defineProgram('state', (p) => {
      const k = p.input('k', 'f32', [null, 12])
      const out = p.output('out', 'f32', [null, 12])
      loop(
        { to: sizeOf(k, 0), step: 8 },
        { state: zeros([12, 12]) },
        (i, { state }, emit) => {
          const tile = load(k, [rowRange(i, 8), colRange(0, 12)])
          emit(store(out, [rowRange(i, 8), colRange(0, 12)], dot(tile, state).add(dot(dot(tile, tile.T), tile))))
          return { state: state.mul(0.9).add(dot(tile.T, tile)) }
        },
        p.emit,
      )
    })
    check(program, { tensors: { k: tensor(30, 12), out: { dtype: 'f32', shape: [30, 12] } } }, 1e-5)
  })
})
