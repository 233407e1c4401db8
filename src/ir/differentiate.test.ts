import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { evaluateExpressions } from '../../test/numerics/evaluate-expression.ts'
import { buildRecipe, recipes } from '../../test/numerics/random-expression.ts'
import { defineProgram, load, rowRange, scalar, store, symbol, Value } from '../tile/index.ts'
import { constant } from './build.ts'
import { differentiate } from './differentiate.ts'
import { printProgram } from './index.ts'
import { instantiate } from './instantiate.ts'
import type { Node } from './node.ts'

const [x, y] = [symbol('x', 'f32'), symbol('y', 'f32')]
const one = constant(1)

/** ∂value/∂variable at points (x, y) */
function slopes(value: Value, variable: Value, points: readonly (readonly [number, number])[]): number[] {
  const [gradient] = differentiate([{ node: value.node, gradient: one }], [variable.node])
  if (!gradient) return points.map(() => 0)
  const at = evaluateExpressions([gradient], [x.node, y.node])
  return points.map((point) => at(point)[0] as number)
}

/** off every round number, where functions have kinks */
const coordinate = (off: number) => fc.integer({ min: -2000, max: 2000 }).map((n) => n / 1000 + off)

test('the derivative of random expressions is what finite differences give', () => {
  let compared = 0
  fc.assert(
    fc.property(recipes, fc.tuple(coordinate(0.00037), coordinate(0.00071)), (recipe, [px, py]) => {
      const value = buildRecipe(recipe, [() => x, () => y], (v) => scalar(v))
      const f = evaluateExpressions([value.node], [x.node, y.node])
      const at = (a: number, b: number) => f([a, b])[0] as number
      const central = (h: number) => [
        (at(px + h, py) - at(px - h, py)) / (2 * h),
        (at(px, py + h) - at(px, py - h)) / (2 * h),
      ]
      const [f0, h] = [at(px, py), 1e-5]
      const sides = [at(px + h, py) + at(px - h, py) - 2 * f0, at(px, py + h) + at(px, py - h) - 2 * f0].map(
        (d) => d / h,
      )
      const [wide, narrow, got] = [central(2e-5), central(1e-5), [x, y].map((v) => slopes(value, v, [[px, py]])[0])]
      for (const i of [0, 1]) {
        const [a, b, c] = [wide[i], narrow[i], got[i]] as [number, number, number]
        const scale = 1 + Math.abs(b) + Math.abs(at(px, py))
        // a kink or a step between the points, or at them
        if (!(Math.abs(a - b) < 1e-6 * scale && Math.abs(sides[i] as number) < 1e-3 * scale)) continue
        compared++
        expect(Math.abs(c - b) / scale, `${c} beside ${b} at ${px}, ${py}`).toBeLessThan(3e-6)
      }
    }),
    { numRuns: 1500 },
  )
  expect(compared).toBeGreaterThan(2000)
})

describe('at ties, as PyTorch', () => {
  test.each<[string, Value, number[]]>([
    ['abs', x.abs(), [-1, 0, 1]],
    ['relu', x.max(0), [0, 0, 1]],
    ['a clamp from above at 0', x.min(0), [1, 0, 0]],
    ['square root of a square', x.mul(x), [-2, 0, 2]],
    ['floor', x.floor(), [0, 0, 0]],
    ['select', x.ge(0).select(x.mul(3), 7), [0, 3, 3]],
  ])('%s', (_, value, wanted) => {
    expect(slopes(value, x, [[-1, 0], [0, 0], [1, 0]]).map((s) => s + 0)).toEqual(wanted) // biome-ignore format: points in a row
  })
  test('two equal operands share', () => {
    const points = [[1, 2], [2, 2], [3, 2]] as const // biome-ignore format: points in a row
    expect(slopes(x.max(y), x, points)).toEqual([0, 0.5, 1])
    expect(slopes(x.max(y), y, points)).toEqual([1, 0.5, 0])
    expect(slopes(x.min(y), x, points)).toEqual([1, 0.5, 0])
    // a bound that is a number: as a clamp
    expect(slopes(x.max(2), x, points)).toEqual([0, 1, 1])
    expect(slopes(x.min(2), x, points)).toEqual([1, 1, 0])
  })
  test('powers', () => {
    const points = [[0, 0], [0, 2], [2, 3]] as const // biome-ignore format: points in a row
    expect(slopes(x.pow(y), x, points)).toEqual([0, 0, 12])
    expect(slopes(x.pow(y), y, points).map((s) => Math.round(s * 1e6) / 1e6)).toEqual([0, 0, 5.545177])
    expect(slopes(x.pow(0), x, points)).toEqual([0, 0, 0])
  })
})

test('integers and what does not depend on a variable carry no gradient', () => {
  const value = x.cast('i32').cast('f32').mul(y.floor())
  expect(differentiate([{ node: value.node, gradient: one }], [x.node, y.node])).toEqual([null, null])
})

test('what is repeated is summed, maxima over an axis are constant, products of matrices turn', () => {
  const program = defineProgram('gradient', (p) => {
    const [a, b] = [p.input('a', 'f32', [null, null]), p.input('b', 'f32', [null])]
    const out = p.output('out', 'f32', [null, null])
    const tile = load(a, [rowRange(0, 4), rowRange(0, 8).T])
    const bias = load(b, [rowRange(0, 4)])
    const shifted = tile.add(bias).sub(tile.rowMax())
    const grown = shifted.exp()
    const seed = constant(1, 'f32', 4, 8)
    const [dTile, dBias] = differentiate([{ node: grown.node, gradient: seed }], [tile.node, bias.node]) as [Node, Node]
    expect([dTile.rows, dTile.cols, dBias.rows, dBias.cols]).toEqual([4, 8, 4, 1])
    p.emit(store(out, [rowRange(0, 4), 0], new Value(dBias)))
  })
  expect(printProgram(program)).toContain('sum over cols')
})

test('nothing is multiplied by 1, and numbers gather', () => {
  const [gradient] = differentiate([{ node: x.mul(Math.LOG2E).exp2().node, gradient: one }], [x.node])
  // 2^(x log2 e) · ln 2 · log2 e is 2^(x log2 e)
  expect(gradient?.op).toBe('unary')
})

test('an expression of scalars serves tiles, and turned ones', () => {
  const q = symbol('q')
  const value = x.mul(q.cast('f32'))
  const tile = constant(2, 'f32', 3, 5)
  const bind = (rows: number, cols: number) =>
    new Map<Node, Node>([
      [x.node, tile],
      [q.node, constant(4, 'i32', rows, cols)],
    ])
  expect(instantiate([value.node], bind(3, 1))[0]).toMatchObject({ rows: 3, cols: 5 })
  expect(instantiate([value.node], bind(1, 5))[0]).toMatchObject({ rows: 3, cols: 5 })
  expect(() => instantiate([value.node], bind(4, 1))).toThrow(/do not broadcast/)
  expect(() => instantiate([value.node], new Map())).toThrow(/nothing stands for the symbol/)
  const wide = x.add(
    load({ kind: 'tensor', name: 't', dtype: 'f32', sizes: [null], access: 'read', alignment: 1 }, [rowRange(0, 8)]),
  )
  expect(instantiate([wide.node], new Map([[x.node, constant(1, 'f32', 1, 4)]]))[0]).toMatchObject({ rows: 8, cols: 4 })
  expect(
    instantiate([wide.node], new Map([[x.node, constant(1, 'f32', 4, 1)]]), { transposed: true })[0],
  ).toMatchObject({ rows: 4, cols: 8 })
})
