import type { Program } from '../../src/ir/schedule.ts'
import {
  colRange,
  defineProgram,
  dot,
  load,
  loop,
  rowRange,
  scalar,
  select,
  store,
  type TensorParam,
  type Value,
  zeros,
} from '../../src/tile/index.ts'
import type { TestRun, TestTensor } from './kernel-runner.ts'

/** A stream of choices, so that a program is a function of its seed. */
function chooser(seed: number) {
  let state = seed | 1
  const below = (n: number) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return Math.floor((state / 2 ** 32) * n)
  }
  return {
    below,
    pick: <T>(list: readonly T[]): T => list[below(list.length)] as T,
    chance: (percent: number) => below(100) < percent,
  }
}

export interface RandomProgram {
  readonly program: Program
  readonly run: TestRun
}

/** A random program: element-wise chains, reductions, products, transposes, running sums and nested loops over two inputs. */
export function randomProgram(seed: number): RandomProgram {
  const { below, pick, chance } = chooser(seed)
  const [rows, cols] = [1 + below(11), 1 + below(18)]
  const height = rows + below(7)
  const stored: [string, Value][] = []
  const tensors: Record<string, TestTensor> = {
    x: {
      dtype: 'f32',
      shape: [height, cols],
      data: Array.from({ length: height * cols }, () => below(2001) / 1000 - 1),
    },
    n: { dtype: 'i32', shape: [height, cols], data: Array.from({ length: height * cols }, () => below(9) - 4) },
  }
  const program = defineProgram(`random-${seed}`, (p) => {
    const x = p.input('x', 'f32', [null, chance(50) ? cols : null])
    const n = p.input('n', 'i32', [null, null])
    const flag = p.scalar('flag', 'i32')
    let outputs = 0
    const read = (tensor: TensorParam, start: Value | number) =>
      load(tensor, [rowRange(start, rows), colRange(0, cols)], chance(20) ? { where: rowRange(0, rows).ne(1) } : {})

    // conditions are computed from integers alone, so that rounding cannot flip them
    const condition = (like: Value, at: Value): Value => {
      const choice = below(4)
      if (choice === 0) return flag.add(at.and(1)).ne(1)
      if (choice === 1) return rowRange(at, like.rows).ge(colRange(1, like.cols).mul(2))
      if (choice === 2 && like.rows === rows && like.cols === cols) return read(n, 0).gt(at.and(3))
      return colRange(0, like.cols).lt(flag.mul(3).add(2))
    }
    const fits = (a: Value, b: Value) =>
      (a.rows === b.rows || a.rows === 1 || b.rows === 1) && (a.cols === b.cols || a.cols === 1 || b.cols === 1)
    const bounded = (value: Value) => (chance(40) ? value.tanh() : value.mul(0.5))

    const step = (known: Value[], at: Value, depth: number): Value => {
      const a = pick(known)
      const partners = known.filter((other) => fits(a, other))
      const b = partners.length > 0 ? pick(partners) : a
      switch (below(depth < 2 ? 13 : 12)) {
        case 0:
          return bounded(a.add(b))
        case 1:
          return bounded(a.mul(b).sub(a))
        case 2:
          return a.max(b).neg().mul(0.75)
        case 3:
          return a.min(0.5).exp().mul(0.3)
        case 4: {
          const like = bounded(a.add(b))
          return select(condition(like, at), like, chance(50) ? a.mul(0.25).add(like) : 0.125)
        }
        case 5:
          return pick([
            () => a.rowMax(),
            () => a.colMax(),
            () => a.rowSum().mul(0.2),
            () => a.colSum().mul(0.2),
            () => a.rowMin().colMax(),
          ])()
        case 6:
          return a.T.mul(0.9)
        case 7:
        case 8: {
          const left = chance(50) ? a : a.T
          const right = known.flatMap((other) => [other, other.T]).filter((other) => other.rows === left.cols)
          if (right.length === 0) return a.abs()
          const product = dot(left.mul(0.3), chance(50) ? pick(right) : pick(right).mul(0.2))
          const sums = known.filter((other) => other.rows === product.rows && other.cols === product.cols)
          return sums.length > 0 && chance(70)
            ? bounded(
                pick(sums)
                  .mul(chance(50) ? 0.5 : product.rowMax().tanh())
                  .add(product),
              )
            : bounded(product)
        }
        case 9:
          return pick([
            () => a.cumsumRows(),
            () => a.cumsumCols({ reverse: true }),
            () => a.mul(0.5).cumsumRows({ reverse: true }),
          ])().mul(0.2)
        case 10:
          return a.add(rowRange(at, a.rows).cast('f32').mul(0.01)).mul(0.5)
        case 11:
          return a.broadcastTo(a.rows === 1 ? rows : a.rows, a.cols === 1 ? cols : a.cols).mul(0.5)
        default:
          return nest(known, depth)
      }
    }
    const grow = (known: Value[], at: Value, depth: number, count: number): Value[] => {
      const all = [...known]
      for (let made = 0; made < count; made++) all.push(step(all, at, depth))
      return all
    }
    const nest = (known: Value[], depth: number): Value => {
      const carried = [pick(known), pick(known), chance(50) ? zeros([rows, cols]) : pick(known)]
      const start = { c0: carried[0] as Value, c1: carried[1] as Value, c2: carried[2] as Value, k: scalar(1, 'i32') }
      const out = loop({ to: flag.add(below(3)), step: 1 + below(2) }, start, (i, now) => {
        const inside = grow([...known, now.c0, now.c1, now.c2, read(x, i)], i.add(now.k), depth + 1, 3 + below(6))
        const next = (like: Value) => {
          const same = inside.filter((value) => value.rows === like.rows && value.cols === like.cols)
          return chance(70) ? bounded(same.at(-1) as Value) : pick(same)
        }
        return {
          c0: next(now.c0),
          c1: chance(25) && now.c0.rows === now.c1.rows && now.c0.cols === now.c1.cols ? now.c0 : next(now.c1),
          c2: next(now.c2),
          k: now.k.add(i),
        }
      })
      return bounded(pick([out.c0, out.c1, out.c2]).add(out.k.cast('f32').mul(0.01)))
    }

    const first = [
      read(x, 0),
      read(x, 2),
      read(n, 1).cast('f32').mul(0.1),
      load(x, [rowRange(0, rows), 0]),
      load(x, [p.programId(0), colRange(0, cols)]),
      load(x, [1, 0]),
    ]
    for (const value of grow(first, p.programId(0), 0, 8 + below(14)).slice(-6)) {
      const name = `out${outputs++}`
      stored.push([name, value])
      tensors[name] = { dtype: 'f32', shape: [value.rows * 2, value.cols] }
      p.emit(
        store(
          p.output(name, 'f32', [null, chance(50) ? value.cols : null]),
          [rowRange(p.programId(0).mul(value.rows), value.rows), colRange(0, value.cols)],
          value,
        ),
      )
    }
  })
  return { program, run: { tensors, scalars: { flag: below(3) }, grid: [2, 1, 1] } }
}
