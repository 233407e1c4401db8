import { colRange, defineProgram, load, loop, rowRange, select, store, zeros } from '../../src/tile/index.ts'
import { seededRandom } from './seeded-random.ts'
import { defaults, filled, type Trial } from './trial.ts'

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
  const trials = [0, 1, 7].map(
    (count): Trial => ({
      ...defaults,
      name: `carried values, swapped, over ${count} rounds`,
      program: carries,
      tensors: {
        x: { values: numbers(90), shape: [9, 10] },
        y: { values: filled(60), shape: [6, 10] },
        z: { values: filled(90, 4), shape: [9, 10] },
      },
      scalars: { count },
    }),
  )
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
  // nothing but the loop's end stands between the reads of one round and the writes of the next
  const alone = defineProgram('trial', (p) => {
    const x = p.input('x', 'f32', [null, null])
    const y = p.output('y', 'f32', [null, null])
    const { acc } = loop({ to: 3 }, { acc: zeros([1, 12]) }, (i, { acc }) => ({
      acc: acc.add(load(x, [rowRange(i, 16), colRange(0, 12)]).colSum()),
    }))
    p.emit(store(y, [0, colRange(0, 12)], acc))
    p.emit(store(y, [rowRange(1, 7), colRange(0, 12)], acc.broadcastTo(7, 12)))
  })
  trials.push({
    ...defaults,
    name: 'one reduction a round',
    program: alone,
    tensors: { x: { values: numbers(18 * 12), shape: [18, 12] }, y: { values: filled(8 * 12), shape: [8, 12] } },
    tuning: { threadRows: 16, threadCols: 4 },
  })
  return trials
}
