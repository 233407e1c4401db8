import { describe, expect, test } from 'vitest'
import { evaluateExpressions } from '../../../test/numerics/evaluate-expression.ts'
import { printProgram } from '../../ir/index.ts'
import { colRange, defineProgram, load, rowRange, rowSum, store, symbol, type Value, zeros } from '../../tile/index.ts'
import { sigmoid, softmax, softpick } from '../normalizers/index.ts'
import type { Normalizer } from '../normalizers/normalizer.ts'
import { traceNormalizer } from './weight-gradient.ts'

/** The part that remains for every score, on tiles [8, 16], as text. */
function tileText(normalizer: Normalizer, transposed = false): string {
  const gradient = traceNormalizer('test', normalizer, { sink: false, dLse: true })
  const program = defineProgram('tile', (p) => {
    const input = (name: string) => p.input(name, 'f32', [null, null])
    const [s, dP, terms] = [input('s'), input('dP'), input('terms')]
    const out = p.output('out', 'f32', [2, null, null])
    const [i, j] = [rowRange(0, 8), colRange(0, 16)]
    const rows = Array.from({ length: gradient.termCount }, (_, term) => load(terms, [term, transposed ? j : i]))
    const tile = gradient.tile({ s: load(s, [i, j]), dP: load(dP, [i, j]), terms: rows })
    p.emit(store(out, [0, i, j], tile.p))
    p.emit(store(out, [1, i, j], tile.dS))
  })
  return printProgram(program)
}

test('softmax: two numbers a row, and no more per score than by hand', () => {
  const steps = tileText(softmax).match(/= \w+\(/g)
  // p = exp2(s − m); dS = (dP + c) p
  expect(steps).toEqual(['= sub(', '= exp2(', '= add(', '= mul('])
  expect(traceNormalizer('test', softmax, { sink: false, dLse: false }).stored).toEqual([])
})

test('terms of rows lie along either axis', () => {
  expect(tileText(softpick, true)).toContain('load terms[0, cols(16)]')
  expect(tileText(softpick)).toContain('load terms[0, rows(8)]')
})

const names = ['lse', 'delta', 'dLse', 'sink', 's', 'dP'] as const
type Numbers = Readonly<Partial<Record<(typeof names)[number], number>>>

/** p and dS of one score, and dSink, in float64 */
function at(normalizer: Normalizer, has: { sink: boolean; dLse: boolean }, numbers: Numbers) {
  const gradient = traceNormalizer('test', normalizer, has)
  const values = Object.fromEntries(names.map((name) => [name, symbol(name, 'f32')])) as Record<
    (typeof names)[number],
    Value
  >
  const rows = gradient.rows({ ...values, dLse: has.dLse ? values.dLse : null, sink: has.sink ? values.sink : null })
  const tile = gradient.tile({ s: values.s, dP: values.dP, terms: rows.terms })
  const roots = [tile.p, tile.dS, ...(rows.dSink ? [rows.dSink] : [])].map(({ node }) => node)
  return evaluateExpressions(
    roots,
    Object.values(values).map(({ node }) => node),
  )(names.map((name) => numbers[name] ?? Number.NaN))
}

describe.each([softmax, sigmoid, softpick])('$name', (normalizer) => {
  const none = Number.NEGATIVE_INFINITY
  test('a masked score gets nothing, whatever arrives', () => {
    const [p, dS] = at(normalizer, { sink: false, dLse: true }, { lse: 1.5, delta: 3, dLse: -2, s: none, dP: 7 })
    expect([p, Math.abs(dS as number)]).toEqual([0, 0])
  })
  test('a row with nothing to attend to gets nothing, not NaN', () => {
    const [p, dS] = at(normalizer, { sink: false, dLse: true }, { lse: none, delta: 0, dLse: 2, s: none, dP: 0 })
    expect([p, Math.abs(dS as number)]).toEqual([0, 0])
  })
  test('a row in which only the sink takes part gives its gradient of lse to the sink', () => {
    // lse of the sink alone, for a sink of 2
    const lse = { softmax: 2, sigmoid: -Math.log1p(Math.exp(-2)), softpick: Math.log(Math.expm1(2)) }[
      normalizer.name
    ] as number
    const slope = { softmax: 1, sigmoid: 1 / (1 + Math.exp(2)), softpick: Math.exp(2) / Math.expm1(2) }[
      normalizer.name
    ] as number
    const [p, dS, dSink] = at(
      normalizer,
      { sink: true, dLse: true },
      { lse, delta: 0, dLse: 3, sink: 2, s: none, dP: 0 },
    )
    expect([p, Math.abs(dS as number)]).toEqual([0, 0])
    expect(dSink).toBeCloseTo(3 * slope, 4)
  })
})

test('a normalizer that does not resume names its state', () => {
  const { resume: _, ...own } = softmax
  expect(traceNormalizer('test', own, { sink: false, dLse: false }).stored).toEqual(['m', 'l'])
})

test('refuses weights that depend on a maximum beside the state', () => {
  const tileMaximum: Normalizer = {
    name: 'tile maximum',
    units: 'natural',
    split: null,
    init: (tileQ) => ({ l: zeros([tileQ, 1]) }),
    step: ({ l }, s) => {
      const p = s.sub(s.rowMax()).exp()
      return { state: { l: (l as Value).add(rowSum(p)) }, p, alpha: null }
    },
    finish: ({ l }) => ({ scale: (l as Value).reciprocal(), lse: (l as Value).log() }),
  }
  expect(() => traceNormalizer('attentionBackward', tileMaximum, { sink: false, dLse: false })).toThrow(
    /attentionBackward: the normalizer tile maximum has no derivative/,
  )
})
