import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import * as ir from './build.ts'
import { type DType, isFloat, isInteger } from './dtype.ts'
import { readIntervals } from './interval.ts'
import { roundTo } from './narrow-float.ts'
import { arithmeticFns, compareFns, type Node, type TensorParam, unaryFns } from './node.ts'
import { rangeExtremes } from './range-extremes.ts'
import { binaryMath, convert, unaryMath } from './scalar-math.ts'

const variables = ['q', 'k', 'head'].map((name) => ir.arg(name, { dtype: 'i32', rows: 1, cols: 1 }))
const ids = Int32Array.from([0, 0, 0, 1, 1, 2, 5, 5, -3, 2, 2, 7])
const idsTensor: TensorParam = {
  kind: 'tensor',
  name: 'ids',
  dtype: 'i32',
  sizes: [null],
  access: 'read',
  alignment: 1,
  source: ids,
}
const gridTensor: TensorParam = { ...idsTensor, name: 'grid', sizes: [null, null] }
const host = (tensor: TensorParam) => {
  const shape = tensor === gridTensor ? [3, 4] : [12]
  const strides = tensor === gridTensor ? [4, 1] : [1]
  return { shape, extremes: rangeExtremes({ spec: { dtype: 'i32', shape, strides, offset: 0 }, data: ids }) }
}

/** The value at one point; floats rounded to f32 after each operation, or kept in float64. */
function evaluateAt(root: Node, point: readonly number[], round: (x: number) => number): number {
  const at = (node: Node): number => {
    switch (node.op) {
      case 'const':
        return node.value
      case 'arg':
        return point[variables.indexOf(node)] as number
      case 'unary': {
        const x = at(node.x)
        if (node.fn === 'not' && node.dtype !== 'bool') return node.dtype === 'u32' ? ~x >>> 0 : ~x
        const y = unaryMath[node.fn](x)
        return isFloat(node.dtype) ? round(y) : node.dtype === 'u32' ? y >>> 0 : y | 0
      }
      case 'binary': {
        const y = binaryMath(node.fn, node.a.dtype)(at(node.a), at(node.b))
        return isFloat(node.dtype) ? round(y) : node.dtype === 'bool' ? (y ? 1 : 0) : y
      }
      case 'select':
        return at(node.cond) ? at(node.a) : at(node.b)
      case 'cast': {
        const y = convert(at(node.x), node.dtype)
        return isFloat(node.dtype) ? (node.dtype === 'f32' ? round(y) : roundTo(node.dtype as 'f16', y)) : y
      }
      case 'load': {
        const where = node.where ? at(node.where) : 1
        const index = node.indices.map(at)
        const sizes = node.tensor === gridTensor ? [3, 4] : [12]
        const inside = index.every((i, dim) => i >= 0 && i < (sizes[dim] as number))
        return where && inside ? (ids[index.length === 2 ? index[0]! * 4 + index[1]! : index[0]!] as number) : 0
      }
      default:
        throw new Error(node.op)
    }
  }
  return at(root)
}

/** Random well-typed expressions: built from a stack of random choices, so that shrinking drops operations. */
const expression = fc
  .array(
    fc.record({
      pick: fc.nat(),
      fn: fc.nat(),
      a: fc.nat(),
      b: fc.nat(),
      c: fc.nat(),
      value: fc.integer({ min: -9, max: 40 }),
    }),
    {
      minLength: 1,
      maxLength: 14,
    },
  )
  .map((choices) => {
    const made: Node[] = [...variables]
    for (const { pick, fn, a, b, c, value } of choices) {
      const of = (n: number, accept: (dtype: DType) => boolean): Node => {
        const fitting = made.filter((node) => accept(node.dtype))
        return fitting[n % fitting.length] ?? ir.constant(1, 'bool')
      }
      const number = (dtype: DType) => dtype !== 'bool'
      const kind = pick % 9
      if (kind === 0) made.push(ir.constant(value, 'i32'))
      else if (kind === 1) made.push(ir.constant(value / 4 - 1))
      else if (kind === 2)
        made.push(
          ir.cast(
            of(a, () => true),
            (['f32', 'i32', 'u32', 'f16', 'bf16', 'bool'] as const)[fn % 6] as DType,
          ),
        )
      else if (kind === 3) {
        const name = unaryFns[fn % unaryFns.length] as (typeof unaryFns)[number]
        made.push(
          ir.unary(
            name,
            of(a, name === 'not' ? (d) => !isFloat(d) : name === 'fromBits' ? (d) => d === 'i32' : number),
          ),
        )
      } else if (kind === 4) {
        const name = arithmeticFns[fn % arithmeticFns.length] as (typeof arithmeticFns)[number]
        if (name === 'and' || name === 'or' || name === 'xor') {
          const left = of(a, (d) => !isFloat(d))
          made.push(
            ir.binary(
              name,
              left,
              of(b, (d) => d === left.dtype),
            ),
          )
        } else if (name === 'shl' || name === 'shr')
          made.push(ir.binary(name, of(a, isInteger), ir.constant(fn % 8, 'i32')))
        else made.push(ir.binary(name, of(a, number), of(b, number)))
      } else if (kind === 5) made.push(ir.binary(compareFns[fn % 6] as 'lt', of(a, number), of(b, number)))
      else if (kind === 6) {
        const left = of(a, () => true)
        made.push(
          ir.select(
            of(c, (d) => d === 'bool'),
            left,
            of(b, (d) => (d === 'bool') === (left.dtype === 'bool')),
          ),
        )
      } else if (kind === 7)
        made.push(ir.load(idsTensor, [of(a, isInteger)], fn % 3 ? null : of(c, (d) => d === 'bool')))
      else made.push(ir.load(gridTensor, [of(a, isInteger), of(b, isInteger)]))
    }
    return made.at(-1) as Node
  })

const box = fc.tuple(...[0, 1, 2].map(() => fc.tuple(fc.integer({ min: -3, max: 70 }), fc.nat({ max: 4 }))))

describe('readIntervals', () => {
  test('holds every value of random expressions over random boxes', () => {
    fc.assert(
      fc.property(expression, box, (root, sides) => {
        const reading = readIntervals(root, variables, host)
        const { lo, hi } = { ...reading.evaluate(sides.flatMap(([from, extent]) => [from, from + extent])) }
        for (let q = 0; q <= sides[0]![1]; q++)
          for (let k = 0; k <= sides[1]![1]; k++)
            for (let h = 0; h <= sides[2]![1]; h++)
              for (const round of [Math.fround, (x: number) => x]) {
                const value = evaluateAt(root, [sides[0]![0] + q, sides[1]![0] + k, sides[2]![0] + h], round)
                const held = Number.isNaN(value)
                  ? lo === Number.NEGATIVE_INFINITY && hi === Number.POSITIVE_INFINITY
                  : value >= lo && value <= hi
                if (!held) throw new Error(`${value} is outside [${lo}, ${hi}]`)
              }
      }),
      { numRuns: 4000, verbose: 1 },
    )
  })

  test('is exact for the ordinary masks', () => {
    const [q, k] = variables as [Node, Node]
    const causal = readIntervals(ir.binary('ge', q, k), variables)
    expect({ ...causal.evaluate([128, 255, 0, 127, 0, 0]) }).toEqual({ lo: 1, hi: 1 })
    expect({ ...causal.evaluate([128, 255, 128, 255, 0, 0]) }).toEqual({ lo: 0, hi: 1 })
    expect({ ...causal.evaluate([128, 255, 256, 300, 0, 0]) }).toEqual({ lo: 0, hi: 0 })
    expect([...causal.uses]).toEqual([q, k])
    const document = readIntervals(ir.binary('eq', ir.load(idsTensor, [q]), ir.load(idsTensor, [k])), variables, host)
    expect({ ...document.evaluate([0, 2, 0, 2, 0, 0]) }).toEqual({ lo: 1, hi: 1 })
    expect({ ...document.evaluate([0, 2, 3, 4, 0, 0]) }).toEqual({ lo: 0, hi: 0 })
    expect({ ...document.evaluate([3, 5, 3, 4, 0, 0]) }).toEqual({ lo: 0, hi: 1 })
  })

  test('a tensor that the host does not know stays unknown', () => {
    const [q] = variables as [Node]
    const reading = readIntervals(ir.binary('gt', ir.load(idsTensor, [q]), ir.constant(100, 'i32')), variables)
    expect({ ...reading.evaluate([0, 0, 0, 0, 0, 0]) }).toEqual({ lo: 0, hi: 1 })
  })

  test('what is not element-wise is unknown, and its variables are found', () => {
    const [q, k] = variables as [Node, Node]
    const reading = readIntervals(ir.binary('ge', ir.reduce('max', 'cols', q), k), variables)
    expect({ ...reading.evaluate([9, 9, 1, 1, 0, 0]) }).toEqual({ lo: 0, hi: 1 })
    expect(reading.uses.size).toBe(2)
  })
})
