import { describe, expect, it } from 'vitest'
import { builds, runOnInterpreter, runOnWasm } from '../../../test/wasm/kernel-runner.ts'
import type { StorageDType } from '../../ir/dtype.ts'
import type { Program } from '../../ir/schedule.ts'
import {
  colRange,
  defineProgram,
  dot,
  load,
  loop,
  rowRange,
  select,
  store,
  type Value,
  zeros,
} from '../../tile/index.ts'
import { compileProgram } from '../compile-program.ts'

const tileN = 16

/** attention to a window of b's rows that may hang over both ends: products along lanes, then sums that start from others */
function program(
  M: number,
  dtype: StorageDType,
  K: number,
  kind: 'plain' | 'select' | 'gather' | 'bounded',
  off: number,
): Program {
  return defineProgram('streamed', (p) => {
    const a = p.input('a', 'f32', [null, K])
    const b = p.input('b', dtype, [null, null, K])
    const other = p.input('other', dtype, [null, null, K])
    const table = p.input('table', 'i32', [null])
    const sums = p.output('sums', 'f32', [null, null])
    const products = p.output('products', 'f32', [null, null])
    const q = load(a, [rowRange(0, M), colRange(0, K)])
    const start: Record<string, Value> = { acc: zeros([M, K]), s: zeros([M, tileN]), m: zeros([M, 1]) }
    const { acc, s } = loop({ to: 3 * tileN, step: tileN }, start, (i, carried) => {
      const base = i.add(off)
      const rows = kind === 'gather' ? load(table, [rowRange(base, tileN)]) : rowRange(base, tileN)
      // a bound inside the second tile: rows of the first are all below it, those of the third are not
      const where = kind === 'bounded' ? { where: rows.lt(load(table, [4])) } : {}
      const read = (tensor: typeof b, at: number) => load(tensor, [at, rows, colRange(0, K)], where).cast('f32')
      const tile = (at: number) => (kind === 'select' ? select(i.lt(tileN), read(b, at), read(other, at)) : read(b, at))
      const scores = dot(q, tile(0).T)
      const m = scores.rowMax().mul(0.01)
      const kept = (carried.acc as Value).mul(m.sub(carried.m as Value).exp())
      return { acc: kept.add(dot(scores.mul(0.01), tile(1))), s: (carried.s as Value).add(scores), m }
    })
    p.emit(store(sums, [rowRange(0, M), colRange(0, K)], acc as Value))
    p.emit(store(products, [rowRange(0, M), colRange(0, tileN)], s as Value))
    if (kind !== 'select') p.emit(store(products, [M, 0], load(other, [0, 0, 0]).cast('f32')))
    if (kind !== 'gather') p.emit(store(products, [M, 1], load(table, [0]).cast('f32')))
  })
}

describe('products of few rows', () => {
  it.each([
    [1, 'f32', 8],
    [2, 'bf16', 128],
    [3, 'f32', 128],
    [3, 'f16', 8],
    [3, 'i8', 64],
    [4, 'u8', 8],
    [4, 'bf16', 64],
  ] as const)('%i rows, %s, %i columns', (M, dtype, K) => {
    for (const kind of ['plain', 'select', 'gather', 'bounded'] as const)
      for (const off of [3, -2]) {
        const of = program(M, dtype, K, kind, off)
        const unit = dtype === 'i8' || dtype === 'u8' ? 1 : 16
        const numbers = (count: number, step: number) =>
          Array.from({ length: count }, (_, i) =>
            dtype === 'u8' ? (i * 5) % 7 : Math.round(Math.sin(i * step) * 8) / unit,
          )
        const tensors = {
          a: { dtype: 'f32', shape: [M, K], data: numbers(M * K, 3).map((x) => x / 8) },
          b: { dtype, shape: [2, 37, K], data: numbers(2 * 37 * K, 1.1) },
          other: { dtype, shape: [2, 41, K], data: numbers(2 * 41 * K, 1.7) },
          table: { dtype: 'i32', shape: [45], data: Array.from({ length: 45 }, (_, i) => (i * 7) % 39) },
          sums: { dtype: 'f32', shape: [M, K] },
          products: { dtype: 'f32', shape: [M + 1, tileN] },
        } as const
        const expected = runOnInterpreter(of, { tensors })
        for (const build of builds.filter(({ wide }) => !wide)) {
          const got = runOnWasm(of, { tensors }, build)
          for (const name of ['sums', 'products'] as const) {
            const wanted = Array.from(expected[name] as number[])
            const written = wanted.map((x, i) => (Number.isFinite(x) ? x - (got[name]?.[i] as number) : 0))
            const size = Math.hypot(...wanted.filter(Number.isFinite))
            const at = `${build.name} K ${K} ${kind} from ${off}: ${name}`
            expect(size, at).toBeGreaterThan(0)
            expect(Math.hypot(...written) / size, at).toBeLessThan(2e-6)
          }
        }
      }
  })
})

it.each([1, 3])('%i rows by the halves of bytes: products that start from products, one load for both', (M) => {
  const [N, K] = [16, 24]
  const of = defineProgram('halves', (p) => {
    const a = p.input('a', 'f32', [null, 2 * K])
    const b = p.input('b', 'u8', [null, K])
    const shift = p.scalar('shift', 'i32')
    const products = p.output('products', 'f32', [null, null])
    const { s } = loop({ to: 2 * N, step: N }, { s: zeros([M, N]) }, (i, carried) => {
      const bytes = load(b, [rowRange(i, N), colRange(0, K)])
      const low = dot(load(a, [rowRange(0, M), colRange(0, K)]), bytes.and(15).sub(8).cast('f32').T)
      const high = dot(load(a, [rowRange(0, M), colRange(K, K)]), bytes.shr(shift).sub(8).cast('f32').T)
      return { s: carried.s.mul(0.5).add(low.add(high)) }
    })
    p.emit(store(products, [rowRange(0, M), colRange(0, N)], s))
  })
  expect(
    compileProgram(of, { relaxed: false })
      .wat()
      .match(/streamed \[/g),
  ).toHaveLength(2)
  const tensors = {
    a: { dtype: 'f32', shape: [M, 2 * K], data: Array.from({ length: M * 2 * K }, (_, i) => Math.sin(i)) },
    b: { dtype: 'u8', shape: [2 * N, K], data: Array.from({ length: 2 * N * K }, (_, i) => (i * 37) % 256) },
    products: { dtype: 'f32', shape: [M, N] },
  } as const
  const wanted = runOnInterpreter(of, { tensors, scalars: { shift: 4 } }).products as number[]
  for (const build of builds) {
    const got = runOnWasm(of, { tensors, scalars: { shift: 4 } }, build).products as number[]
    const error = Math.hypot(...wanted.map((x, i) => x - (got[i] as number))) / Math.hypot(...wanted)
    expect(error, build.name).toBeLessThan(1e-6)
  }
})

it('streams up to four rows', () => {
  for (const M of [1, 4, 5]) {
    const { wat } = compileProgram(program(M, 'bf16', 64, 'plain', 0), { relaxed: true })
    expect(wat().includes('streamed [')).toBe(M <= 4)
  }
})
