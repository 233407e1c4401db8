import { describe, expect, it } from 'vitest'
import { binaryMath, unaryMath } from '../ir/scalar-math.ts'
import { colRange, defineProgram, dot, full, load, loop, rowRange, scalar, store, zeros } from './index.ts'

describe('the tile language', () => {
  it('gives numbers the dtype of their partner and promotes mixed arithmetic', () => {
    expect(rowRange(0, 4).add(1).dtype).toBe('i32')
    expect(rowRange(0, 4).mul(0.5).dtype).toBe('f32')
    expect(rowRange(0, 4).sub(colRange(0, 3)).mul(scalar(1.5))).toMatchObject({ dtype: 'f32', rows: 4, cols: 3 })
    expect(full([2, 2], 1, 'f16').add(1).dtype).toBe('f32')
    expect(scalar(1).lt(2).dtype).toBe('bool')
  })

  it('lets an integer meet a number that it cannot hold as f32, and takes nothing but values and numbers', () => {
    const i = rowRange(0, 4)
    expect(i.lt(2 ** 31 - 1).node).toMatchObject({ b: { dtype: 'i32', value: 2 ** 31 - 1 } })
    expect(i.lt(3e9).node).toMatchObject({ b: { dtype: 'f32', value: 3e9 } })
    expect(i.cast('u32').gt(-1).node).toMatchObject({ b: { dtype: 'f32', value: -1 } })
    expect(i.mul(1e20).dtype).toBe('f32')
    // sums, products and bits wrap
    expect(i.cast('u32').add(-1).node).toMatchObject({ b: { dtype: 'u32', value: 2 ** 32 - 1 } })
    expect(i.mul(0x9e3779b1).node).toMatchObject({ b: { dtype: 'i32', value: 0x9e3779b1 | 0 } })
    for (const operand of [undefined, null, '3', 3n, { at: () => i }])
      expect(() => scalar(1).add(operand as never)).toThrow(/^value: an operand is a value or a number, got /)
  })

  it.each([
    [
      'broadcasting',
      () => zeros([4, 3]).add(zeros([4, 2])),
      /add: shapes do not broadcast: f32 \[4, 3\] and f32 \[4, 2\]/,
    ],
    ['inner sizes', () => dot(zeros([4, 3]), zeros([4, 3])), /dot: inner sizes differ: f32 \[4, 3\] and f32 \[4, 3\]/],
    [
      'logic on numbers',
      () => zeros([4, 3]).and(zeros([4, 3])),
      /and: takes two bools or two integers, got f32 \[4, 3\] and f32 \[4, 3\]/,
    ],
    ['arithmetic on bools', () => zeros([4, 3]).gt(0).add(1), /add: takes numbers, got bool \[4, 3\] and i32/],
    ['condition', () => scalar(1).select(1, 2), /select: the condition must be bool, got f32/],
    ['integer dot', () => dot(rowRange(0, 4), colRange(0, 4)), /dot: takes floats/],
    [
      'carried shape',
      () => loop({ to: 2 }, { x: zeros([2, 2]) }, (_i, { x }) => ({ x: x.rowSum() })),
      /loop: carried x is f32 \[2, 2\], got f32 \[2, 1\]/,
    ],
    [
      'missing carried',
      () => loop({ to: 2 }, { x: zeros([2, 2]) }, () => ({}) as never),
      /loop: carried x is f32 \[2, 2\], got nothing/,
    ],
    [
      'step',
      () => loop({ to: 2, step: 0 }, { x: zeros([2, 2]) }, (_i, c) => c),
      /loop: step must be a positive integer, got 0/,
    ],
  ])('rejects %s with shapes in the message', (_name, make, message) => {
    expect(make).toThrow(message)
  })

  it('rejects wrong index counts, float indices and stores to inputs', () => {
    defineProgram('p', (p) => {
      const x = p.input('x', 'f32', [null, 4])
      expect(() => load(x, [0])).toThrow(/load: x has 2 dimensions, got 1 indices/)
      expect(() => load(x, [scalar(1.5), 0])).toThrow(/load: indices of x must be integers, got f32/)
      expect(() => store(x, [0, 0], 1)).toThrow(/store: x was declared for reading/)
    })
  })
})

describe('scalar meanings', () => {
  it('integer division truncates and is 0 by 0; arithmetic wraps', () => {
    expect([
      binaryMath('div', 'i32')(-7, 2),
      binaryMath('mod', 'i32')(-7, 2),
      binaryMath('div', 'i32')(7, 0),
      binaryMath('mod', 'u32')(7, 0),
    ]).toEqual([-3, -1, 0, 0])
    expect(binaryMath('mul', 'i32')(65536, 65536)).toBe(0)
    expect(binaryMath('add', 'u32')(4294967295, 1)).toBe(0)
  })
  it('erf is right to 1e-14 and odd; round halves to even', () => {
    for (const [x, y] of [
      [0.5, 0.5204998778130465],
      [1, 0.8427007929497149],
      [2, 0.9953222650189527],
      [3.5, 0.9999992569016276],
    ] as const) {
      expect(Math.abs(unaryMath.erf(x) - y)).toBeLessThan(1e-14)
      expect(unaryMath.erf(-x)).toBe(-unaryMath.erf(x))
    }
    expect([0.5, 1.5, 2.5, -0.5].map(unaryMath.round).map((x) => x + 0)).toEqual([0, 2, 2, 0])
  })
})
