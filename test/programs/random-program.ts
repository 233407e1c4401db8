import type { Program } from '../../src/ir/schedule.ts'
import {
  colRange,
  defineProgram,
  dot,
  load,
  loop,
  rowRange,
  type StorageDType,
  scalar,
  select,
  store,
  type TensorParam,
  type Value,
  zeros,
} from '../../src/tile/index.ts'
import type { TestRun, TestTensor } from '../wasm/kernel-runner.ts'

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

export interface ProgramSpace {
  /** tiles have fewer rows and columns than these */
  readonly rows: number
  readonly cols: number
  /** narrow dtypes, aligned rows apart from each other, masked stores and gathers, too */
  readonly storage: boolean
  /** the least number of steps outside and inside loops */
  readonly steps: number
  /** steps, in percent, that are a product or a loop beside those that chance makes one */
  readonly products: number
}

/** a table of small integers of both signs */
const codes = [0, 1, -1, 2, -2, 3, -3, 4, 5, -6, 7, -128, 127, 90, -100, 17]

const small: ProgramSpace = { rows: 12, cols: 19, storage: false, steps: 8, products: 0 }

/** A random program: element-wise chains, reductions, products, transposes, running sums and nested loops over two inputs. */
export function randomProgram(seed: number, space: ProgramSpace = small): RandomProgram {
  const { below, pick, chance } = chooser(seed)
  const [rows, cols] = [1 + below(space.rows - 1), 1 + below(space.cols - 1)]
  const height = rows + below(7)
  const floats: readonly StorageDType[] = space.storage ? ['f32', 'f16', 'bf16'] : ['f32']
  const integers: readonly StorageDType[] = space.storage ? ['i32', 'i8', 'u8'] : ['i32']
  // rows that begin at multiples of four are declared to
  const layout = (height: number, cols: number) => {
    const alignment = space.storage && chance(50) ? 4 : 1
    const stride = alignment === 4 ? Math.ceil(cols / 4) * 4 + 4 * below(2) : cols + (space.storage ? below(3) : 0)
    const offset = space.storage ? alignment * below(3) : 0
    return { shape: [height, cols], strides: [stride, 1], offset, alignment, length: offset + height * stride }
  }
  const inputs = {
    x: { ...layout(height, cols), dtype: pick(floats) },
    n: { ...layout(height, cols), dtype: pick(integers) },
  }
  const lowest = inputs.n.dtype === 'u8' ? 0 : -4
  const tensors: Record<string, TestTensor> = {
    x: { ...inputs.x, data: Array.from({ length: inputs.x.length }, () => below(2001) / 1000 - 1) },
    n: { ...inputs.n, data: Array.from({ length: inputs.n.length }, () => below(9) + lowest) },
  }
  const program = defineProgram(`random-${seed}`, (p) => {
    const x = p.input('x', inputs.x.dtype, [null, chance(50) ? cols : null], { alignment: inputs.x.alignment })
    const n = p.input('n', inputs.n.dtype, [null, null], { alignment: inputs.n.alignment })
    const flag = p.scalar('flag', 'i32')
    let outputs = 0
    const read = (tensor: TensorParam, start: Value | number) => {
      const where = chance(20) ? { where: rowRange(0, rows).ne(1) } : {}
      if (space.storage && chance(25)) {
        const row = load(n, [rowRange(start, rows), below(cols)]).abs()
        return load(tensor, [row, colRange(below(3) - 1, cols)], where)
      }
      return load(tensor, [rowRange(start, rows), colRange(0, cols)], where)
    }
    const real = (value: Value) => (value.dtype === 'f32' ? value : value.cast('f32'))

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
      switch (chance(space.products) ? (depth < 2 && chance(20) ? 12 : 7) : below(depth < 2 ? 13 : 12)) {
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
        const inside = grow(
          [...known, now.c0, now.c1, now.c2, real(read(x, i))],
          i.add(now.k),
          depth + 1,
          (space.steps >> 2) + 1 + below(space.steps - 2),
        )
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
      real(read(x, 0)),
      real(read(x, 2)),
      read(n, 1).cast('f32').mul(0.1),
      read(n, 0).and(127).shl(16).add(0x3f800000).fromBits().mul(0.1),
      read(n, 0).and(15).lookup(codes).shr(rowRange(0, rows).and(3)).cast('f32').mul(0.01),
      real(load(x, [rowRange(0, rows), 0])),
      real(load(x, [p.programId(0), colRange(0, cols)])),
      real(load(x, [1, 0])),
    ]
    const write = (value: Value, dtype: StorageDType) => {
      const name = `out${outputs++}`
      const { alignment, ...place } = layout(value.rows * 2, value.cols)
      tensors[name] = { dtype, ...place }
      const where = space.storage
        ? pick([{}, { where: rowRange(1, value.rows).ne(2) }, { where: colRange(0, value.cols).ge(2) }])
        : {}
      p.emit(
        store(
          p.output(name, dtype, [null, chance(50) ? value.cols : null], { alignment }),
          [rowRange(p.programId(0).mul(value.rows), value.rows), colRange(0, value.cols)],
          value,
          where,
        ),
      )
    }
    for (const value of grow(first, p.programId(0), 0, space.steps + below(2 * space.steps - 2)).slice(-6))
      write(value, pick(floats))
    if (space.storage) write(read(n, 1).add(read(n, 0)).cumsumCols().abs().min(120), pick(integers))
  })
  return { program, run: { tensors, scalars: { flag: below(3) }, grid: [2, 1, 1] } }
}
