import { describe, expect, it } from 'vitest'
import {
  colRange,
  type DType,
  defineProgram,
  dot,
  load,
  loop,
  rowRange,
  type StorageDType,
  scalar,
  select,
  sizeOf,
  store,
  type TensorParam,
  Value,
} from '../tile/index.ts'
import { evaluate, type Precision } from './evaluate.ts'
import { interpret } from './interpret.ts'
import { bindArray } from './tensor-binding.ts'

interface Input {
  readonly dtype: StorageDType
  readonly data: readonly number[]
  readonly shape: readonly [number, number]
}

const f32 = (data: readonly number[], shape: readonly [number, number]): Input => ({ dtype: 'f32', data, shape })
const i32 = (data: readonly number[], shape: readonly [number, number]): Input => ({ dtype: 'i32', data, shape })

/** Loads each input as a tile, applies `body`, and returns the stored result, row by row. */
function run(inputs: readonly Input[], body: (...tiles: Value[]) => Value, precision: Precision = 'float64'): number[] {
  let result: Value | undefined
  const program = defineProgram('op', (p) => {
    const tiles = inputs.map(({ dtype, shape }, i) => {
      const tensor = p.input(`in${i}`, dtype, [null, null])
      return load(tensor, [rowRange(0, shape[0]), colRange(0, shape[1])])
    })
    result = body(...tiles)
    const out = p.output('out', storageOf(result.dtype), [null, null])
    const value = result.dtype === 'bool' ? result.cast('i32') : result
    p.emit(store(out, [rowRange(0, result.rows), colRange(0, result.cols)], value))
  })
  const shape = [result?.rows as number, result?.cols as number]
  const out = new Float64Array((shape[0] as number) * (shape[1] as number)).fill(Number.NaN)
  const tensors = Object.fromEntries(inputs.map((input, i) => [`in${i}`, bindArray([...input.data], input)]))
  const dtype = storageOf(result?.dtype as DType)
  interpret(
    program,
    { tensors: { ...tensors, out: bindArray(out, { dtype, shape }) }, scalars: {} },
    [1, 1, 1],
    precision,
  )
  return [...out]
}

function storageOf(dtype: DType): StorageDType {
  return dtype === 'bool' ? 'i32' : dtype
}

const samples = [-2.5, -1, -0.5, 0, 0.25, 0.5, 1, 1.5, 2.5, 7]
const positive = [0.125, 0.5, 1, 2, 3, 10]

describe('interpret: unary', () => {
  const expected: readonly [string, (x: Value) => Value, (x: number) => number, readonly number[]][] = [
    ['neg', (x) => x.neg(), (x) => -x, samples],
    ['abs', (x) => x.abs(), Math.abs, samples],
    ['exp', (x) => x.exp(), Math.exp, samples],
    ['exp2', (x) => x.exp2(), (x) => 2 ** x, samples],
    ['log', (x) => x.log(), Math.log, positive],
    ['log2', (x) => x.log2(), Math.log2, positive],
    ['sqrt', (x) => x.sqrt(), Math.sqrt, positive],
    ['rsqrt', (x) => x.rsqrt(), (x) => 1 / Math.sqrt(x), positive],
    ['reciprocal', (x) => x.reciprocal(), (x) => 1 / x, positive],
    ['sin', (x) => x.sin(), Math.sin, samples],
    ['cos', (x) => x.cos(), Math.cos, samples],
    ['tanh', (x) => x.tanh(), Math.tanh, samples],
    ['sigmoid', (x) => x.sigmoid(), (x) => 1 / (1 + Math.exp(-x)), samples],
    ['floor', (x) => x.floor(), Math.floor, samples],
    ['ceil', (x) => x.ceil(), Math.ceil, samples],
    ['sign', (x) => x.sign(), Math.sign, samples],
  ]
  it.each(expected)('%s', (_name, symbolic, plain, values) => {
    expect(run([f32(values, [1, values.length])], symbolic)).toEqual(values.map(plain))
  })

  it('round takes halves to even', () => {
    expect(run([f32([-1.5, -0.5, 0.5, 1.5, 2.5, 2.6], [2, 3])], (x) => x.round())).toEqual([-2, -0, 0, 2, 2, 3])
  })
  it('erf', () => {
    const got = run([f32([-3, -0.5, 0, 1, 2.5], [1, 5])], (x) => x.erf())
    const known = [-0.9999779095030014, -0.5204998778130465, 0, 0.8427007929497149, 0.9995930479825551]
    for (const [i, value] of known.entries()) expect(got[i]).toBeCloseTo(value, 14)
  })
  it('keeps integers in neg, abs and sign, with wrap-around; not is bitwise on them and logical on bools', () => {
    expect(run([i32([5, -7, -2147483648], [1, 3])], (x) => x.neg())).toEqual([-5, 7, -2147483648])
    expect(run([i32([5, -7], [1, 2])], (x) => x.abs())).toEqual([5, 7])
    expect(run([i32([5, -7, 0], [1, 3])], (x) => x.sign())).toEqual([1, -1, 0])
    expect(run([i32([5, -7, 0], [1, 3])], (x) => x.not())).toEqual([~5, ~-7, ~0])
    expect(run([i32([5, -7, 0], [1, 3])], (x) => x.gt(0).not())).toEqual([0, 1, 1])
  })
})

describe('interpret: binary', () => {
  const a = f32([1, -2, 3.5, 0.25, 9, 2], [2, 3])
  const b = f32([2, 2, -1.5, 0.25, 4, 3], [2, 3])
  const pairs = a.data.map((x, i) => [x, b.data[i] as number] as const)
  const expected: readonly [string, (x: Value, y: Value) => Value, (x: number, y: number) => number][] = [
    ['add', (x, y) => x.add(y), (x, y) => x + y],
    ['sub', (x, y) => x.sub(y), (x, y) => x - y],
    ['mul', (x, y) => x.mul(y), (x, y) => x * y],
    ['div', (x, y) => x.div(y), (x, y) => x / y],
    ['mod', (x, y) => x.mod(y), (x, y) => x % y],
    ['min', (x, y) => x.min(y), Math.min],
    ['max', (x, y) => x.max(y), Math.max],
    ['pow', (x, y) => x.abs().pow(y), (x, y) => Math.abs(x) ** y],
    ['eq', (x, y) => x.eq(y), (x, y) => Number(x === y)],
    ['ne', (x, y) => x.ne(y), (x, y) => Number(x !== y)],
    ['lt', (x, y) => x.lt(y), (x, y) => Number(x < y)],
    ['le', (x, y) => x.le(y), (x, y) => Number(x <= y)],
    ['gt', (x, y) => x.gt(y), (x, y) => Number(x > y)],
    ['ge', (x, y) => x.ge(y), (x, y) => Number(x >= y)],
  ]
  it.each(expected)('%s of floats', (_name, symbolic, plain) => {
    expect(run([a, b], symbolic)).toEqual(pairs.map(([x, y]) => plain(x, y)))
  })

  const m = i32([7, -7, 2147483647, 5, -9, 0], [2, 3])
  const n = i32([2, 2, 1, 0, 4, 3], [2, 3])
  const whole = m.data.map((x, i) => [x, n.data[i] as number] as const)
  const integers: readonly [string, (x: Value, y: Value) => Value, (x: number, y: number) => number][] = [
    ['add', (x, y) => x.add(y), (x, y) => (x + y) | 0],
    ['sub', (x, y) => x.sub(y), (x, y) => (x - y) | 0],
    ['mul', (x, y) => x.mul(y), Math.imul],
    ['div', (x, y) => x.div(y), (x, y) => (y === 0 ? 0 : Math.trunc(x / y) | 0)],
    ['mod', (x, y) => x.mod(y), (x, y) => (y === 0 ? 0 : (x % y) | 0)],
    ['and', (x, y) => x.and(y), (x, y) => x & y],
    ['or', (x, y) => x.or(y), (x, y) => x | y],
    ['xor', (x, y) => x.xor(y), (x, y) => x ^ y],
    ['shl', (x, y) => x.shl(y), (x, y) => x << y],
    ['shr', (x, y) => x.shr(y), (x, y) => x >> y],
  ]
  it.each(integers)('%s of integers', (_name, symbolic, plain) => {
    expect(run([m, n], symbolic)).toEqual(whole.map(([x, y]) => plain(x, y)))
  })

  it('logic on bools', () => {
    const [p, q] = [i32([0, 0, 1, 1], [2, 2]), i32([0, 1, 0, 1], [2, 2])]
    const bools = (fn: (x: Value, y: Value) => Value) => run([p, q], (x, y) => fn(x.ne(0), y.ne(0)))
    expect(bools((x, y) => x.and(y))).toEqual([0, 0, 0, 1])
    expect(bools((x, y) => x.or(y))).toEqual([0, 1, 1, 1])
    expect(bools((x, y) => x.xor(y))).toEqual([0, 1, 1, 0])
  })

  it('broadcasts rows and columns', () => {
    const got = run([f32([10, 20], [2, 1]), f32([1, 2, 3], [1, 3])], (x, y) => x.add(y))
    expect(got).toEqual([11, 12, 13, 21, 22, 23])
  })
})

describe('interpret: selections, casts and moves', () => {
  it('selects element-wise and by a scalar', () => {
    const [x, y] = [f32([1, 2, 3, 4], [2, 2]), f32([5, 6, 7, 8], [2, 2])]
    expect(run([x, y], (s, t) => select(s.gt(2), s, t))).toEqual([5, 6, 3, 4])
    expect(run([i32([1], [1, 1]), x, y], (c, s, t) => select(c.eq(1), s, t))).toEqual(x.data)
    expect(run([i32([0], [1, 1]), x, y], (c, s, t) => select(c.eq(1), s, t))).toEqual(y.data)
  })
  it('casts: truncation, saturation, NaN, bits of integers, bools', () => {
    const x = f32([-2.7, 2.7, 3e9, Number.NaN, -Infinity], [1, 5])
    expect(run([x], (v) => v.cast('i32'))).toEqual([-2, 2, 2147483647, 0, -2147483648])
    expect(run([x], (v) => v.cast('u32'))).toEqual([0, 2, 3e9, 0, 0])
    expect(run([i32([-1], [1, 1])], (v) => v.cast('u32'))).toEqual([4294967295])
    expect(run([x], (v) => v.gt(0).cast('f32'))).toEqual([0, 1, 1, 0, 0])
  })
  it('looks codes of 4 bits up, and refuses what is no table or no code', () => {
    const table = [0, 1, 2, 3, 4, 6, 8, 127, 0, -1, -2, -3, -4, -6, -8, -128]
    const codes = Array.from({ length: 16 }, (_, i) => i)
    expect(run([i32(codes, [4, 4])], (x) => x.lookup(table))).toEqual(table)
    const look = (entries: readonly number[]) => () => run([i32([0], [1, 1])], (x) => x.lookup(entries))
    for (const wrong of [table.slice(1), [...table.slice(1), 128], [...table.slice(1), 0.5]])
      expect(look(wrong)).toThrow('lookup: a table is 16 integers of -128 to 127')
    expect(() => run([f32([0], [1, 1])], (x) => x.lookup(table))).toThrow('lookup: takes i32, got f32')
  })
  it('rounds to dtypes only in real precision', () => {
    const third = f32([1 / 3], [1, 1])
    expect(run([third], (v) => v.cast('f16'), 'real')).toEqual([0.333251953125])
    expect(run([third], (v) => v.cast('bf16'), 'real')).toEqual([0.333984375])
    expect(run([third], (v) => v.mul(1), 'real')).toEqual([1 / 3])
    expect(run([third], (v) => v.mul(3), 'real')).toEqual([1])
    expect(run([third], (v) => v.add(0.1), 'real')).toEqual([Math.fround(1 / 3 + Math.fround(0.1))])
    expect(run([third], (v) => v.cast('f16'))).toEqual([1 / 3])
  })
  it('broadcasts and transposes', () => {
    expect(run([f32([1, 2], [2, 1])], (x) => x.broadcastTo(2, 3))).toEqual([1, 1, 1, 2, 2, 2])
    expect(run([f32([1, 2, 3, 4, 5, 6], [2, 3])], (x) => x.T)).toEqual([1, 4, 2, 5, 3, 6])
  })
})

describe('interpret: reductions and products', () => {
  const x = f32([3, 1, 2, -4, 6, 5], [2, 3])
  it('sums, maxima, minima along both axes', () => {
    expect(run([x], (v) => v.rowSum())).toEqual([6, 7])
    expect(run([x], (v) => v.colSum())).toEqual([-1, 7, 7])
    expect(run([x], (v) => v.rowMax())).toEqual([3, 6])
    expect(run([x], (v) => v.colMax())).toEqual([3, 6, 5])
    expect(run([x], (v) => v.rowMin())).toEqual([1, -4])
    expect(run([x], (v) => v.colMin())).toEqual([-4, 1, 2])
    expect(run([i32([2147483647, 1], [1, 2])], (v) => v.rowSum())).toEqual([-2147483648])
  })
  it('running sums in both directions', () => {
    expect(run([x], (v) => v.cumsumCols())).toEqual([3, 4, 6, -4, 2, 7])
    expect(run([x], (v) => v.cumsumCols({ reverse: true }))).toEqual([6, 3, 2, 7, 11, 5])
    expect(run([x], (v) => v.cumsumRows())).toEqual([3, 1, 2, -1, 7, 7])
    expect(run([x], (v) => v.cumsumRows({ reverse: true }))).toEqual([-1, 7, 7, -4, 6, 5])
  })
  it.each([
    [false, false],
    [true, false],
    [false, true],
    [true, true],
  ])('dot with transposes %s %s', (transposeA, transposeB) => {
    const [rows, inner, cols] = [2, 3, 4]
    const a = Array.from({ length: rows * inner }, (_, i) => i + 1)
    const b = Array.from({ length: inner * cols }, (_, i) => (i % 5) - 2)
    const at = (r: number, k: number) => a[transposeA ? k * rows + r : r * inner + k] as number
    const bt = (k: number, c: number) => b[transposeB ? c * inner + k : k * cols + c] as number
    const expected: number[] = []
    for (let r = 0; r < rows; r++)
      for (let c = 0; c < cols; c++) {
        let sum = 0
        for (let k = 0; k < inner; k++) sum += at(r, k) * bt(k, c)
        expected.push(sum)
      }
    const left = f32(a, transposeA ? [inner, rows] : [rows, inner])
    const right = f32(b, transposeB ? [cols, inner] : [inner, cols])
    expect(run([left, right], (x, y) => dot(transposeA ? x.T : x, transposeB ? y.T : y))).toEqual(expected)
  })
})

describe('interpret: memory', () => {
  const strided = { dtype: 'f32', shape: [2, 3], strides: [10, 1], offset: 4 } as const

  it('reads 0 and writes nothing outside a tensor, and where `where` is false', () => {
    const memory = Float64Array.from({ length: 20 }, (_, i) => i)
    const out = new Float64Array(12).fill(-1)
    const program = defineProgram('bounds', (p) => {
      const x = p.input('x', 'f32', [null, null])
      const y = p.output('y', 'f32', [null, null])
      const [rows, cols] = [rowRange(-1, 4), colRange(0, 4)]
      const tile = load(x, [rows, cols], { where: cols.ne(1) })
      p.emit(store(y, [rowRange(-1, 4), cols], tile, { where: cols.lt(3) }))
    })
    const y = { dtype: 'f32', shape: [3, 4] } as const
    interpret(program, { tensors: { x: bindArray(memory, strided), y: bindArray(out, y) }, scalars: {} }, [1, 1, 1])
    expect([...out]).toEqual([4, 0, 6, -1, 14, 0, 16, -1, 0, 0, 0, -1])
  })

  it('gives sizes, scalars and the position in the grid', () => {
    const out = new Float64Array(6)
    const program = defineProgram('grid', (p) => {
      const x = p.input('x', 'f32', [null, null])
      const y = p.output('y', 'i32', [null, null])
      const n = p.scalar('n', 'i32')
      p.emit(store(y, [p.programId(0), p.programId(1)], sizeOf(x, 0).mul(100).add(sizeOf(x, 1).mul(10)).add(n)))
    })
    const y = bindArray(out, { dtype: 'i32', shape: [2, 3] })
    interpret(program, { tensors: { x: bindArray([], strided), y }, scalars: { n: 7 } }, [2, 2, 1])
    expect([...out]).toEqual([237, 237, 0, 237, 237, 0])
  })

  it('loops carry values, nest, and store in order', () => {
    const out = new Float64Array(4).fill(-1)
    const program = defineProgram('loops', (p) => {
      const y = p.output('y', 'f32', [null])
      const start = { sum: scalar(0), product: scalar(1) }
      const done = loop(
        { from: 1, to: 6, step: 2 },
        start,
        (i, { sum, product }, emit) => {
          const inner = loop({ to: i }, { count: scalar(0) }, (_j, { count }) => ({ count: count.add(1) }))
          emit(store(y, [i.shr(1)], product))
          return { sum: sum.add(inner.count), product: product.mul(i) }
        },
        p.emit,
      )
      p.emit(store(y, [3], done.sum.mul(100).add(done.product)))
    })
    interpret(program, { tensors: { y: bindArray(out, { dtype: 'f32', shape: [4] }) }, scalars: {} }, [1, 1, 1])
    expect([...out]).toEqual([1, 1, 3, 915])
  })

  it('throws when an argument is missing', () => {
    const program = defineProgram('missing', (p) => {
      const y = p.output('y', 'f32', [null])
      p.emit(store(y, [0], p.scalar('n', 'f32')))
    })
    const y = bindArray([0], { dtype: 'f32', shape: [1] })
    expect(() => interpret(program, { tensors: {}, scalars: { n: 1 } }, [1, 1, 1])).toThrow(
      /interpret: missing: no argument for tensor y/,
    )
    expect(() => interpret(program, { tensors: { y }, scalars: {} }, [1, 1, 1])).toThrow(/no argument for scalar n/)
  })

  it('has no value for a statement that is an effect', () => {
    const tensor: TensorParam = {
      kind: 'tensor',
      name: 'y',
      dtype: 'f32',
      sizes: [null],
      access: 'write',
      alignment: 1,
    }
    const effect = store(tensor, [0], 1).effect
    expect(() => evaluate(effect, {} as never)).toThrow(/store is a statement/)
    expect(new Value(effect).rows).toBe(1)
  })
})
