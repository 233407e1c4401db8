import type { Device, Tensor } from '../../device/device.ts'
import {
  checkFields,
  colRange,
  defineProgram,
  type FieldsOf,
  FoveaError,
  full,
  type Kernel,
  load,
  loop,
  type Program,
  select,
  sizeOf,
  store,
  type TensorSpec,
} from '../../tile/index.ts'

export interface SortPairsOptions {
  /** the expert of each pair of a token and one of its experts; a pair of none of them is left out */
  readonly chosen: Tensor // [P] i32
  readonly experts: number
  /** rows of a tile */
  readonly tileM: number
  /** the sorted row of each pair; −1 where it has none */
  readonly position: Tensor // [P] i32
  /** of each tile of rows: expert, first row, number of rows, which is 0 where there is none; then the pair at each row */
  readonly list: Tensor // [listLength(P, experts, tileM)] i32
}

/** pairs looked at together */
const chunk = 256

/** Tiles that hold every distribution of P pairs to experts: expert e's begin at ⌊rows before / tileM⌋ + e. */
export function tileCount(pairs: number, experts: number, tileM: number): number {
  return Math.floor(pairs / tileM) + experts
}

/** Entries of a list of tiles and pairs. */
export function listLength(pairs: number, experts: number, tileM: number): number {
  return 3 * tileCount(pairs, experts, tileM) + pairs
}

/**
 * Sorts pairs by expert, in their order among those of one, and lists tiles of rows that meet one expert each: everything on the
 * device, in an order that depends on `chosen` alone. A program owns an expert. Traffic: `chosen` twice for each expert.
 *
 * Throws `shape`, `dtype`, `argument`, and what `Device.run` throws.
 */
export function sortPairs(device: Device, options: SortPairsOptions): void {
  checkFields('sortPairs', 'options', options, fields)
  const { chosen, position, list } = options
  device.run(sortPairsKernel(options), { chosen, position, list })
}

/** The kernel of `sortPairs`. Throws `shape`, `dtype`, `argument`. */
export function sortPairsKernel(
  options: {
    readonly [K in keyof SortPairsOptions]: SortPairsOptions[K] extends Tensor ? TensorSpec : SortPairsOptions[K]
  },
): Kernel {
  const { chosen, position, list, experts, tileM } = options
  const named = { chosen, position, list }
  const fail = (code: 'shape' | 'dtype' | 'argument', what: string) => {
    const got = Object.entries(named).map(([name, t]) => `${name} ${t.dtype} [${t.shape.join(', ')}]`)
    return new FoveaError(code, 'sortPairs', `${what}, got ${got.join(', ')}`)
  }
  for (const [name, count] of Object.entries({ experts, tileM }))
    if (!Number.isInteger(count) || count < 1)
      throw fail('argument', `${name} must be a whole number of 1 or more, not ${count}`)
  const [pairs = 0] = chosen.shape
  const length = listLength(pairs, experts, tileM)
  if ([chosen, position].some(({ shape }) => shape.length !== 1 || shape[0] !== pairs))
    throw fail('shape', 'chosen and position must be [P]')
  if (list.shape.join() !== `${length}`) throw fail('shape', `list must be [${length}]`)
  if (Object.values(named).some(({ dtype }) => dtype !== 'i32')) throw fail('dtype', 'all must be i32')
  return { program: sortPairsProgram(), grid: [experts, 1, 1], scalars: { experts, tileM } }
}

function sortPairsProgram(): Program {
  return defineProgram('sort-pairs', (p) => {
    const chosen = p.input('chosen', 'i32', [null])
    const position = p.output('position', 'i32', [null])
    const list = p.output('list', 'i32', [null])
    const [experts, tileM] = [p.scalar('experts', 'i32'), p.scalar('tileM', 'i32')]
    const own = p.programId(0)
    const pairs = sizeOf(chosen, 0)
    const part = (from: typeof own) => {
      const pair = colRange(from, chunk) //                                             [1, chunk]
      const expert = load(chosen, [pair])
      const real = pair.lt(pairs)
      return { pair, expert, real, sorted: real.and(expert.ge(0)), hit: real.and(expert.eq(own)) }
    }

    const tiles = pairs.div(tileM).add(experts)

    // rows of experts before this one, and its own
    const none = full([1, chunk], 0, 'i32')
    const counts = loop({ to: pairs, step: chunk }, { before: none, count: none }, (from, carried) => {
      const { expert, sorted, hit } = part(from)
      return {
        before: carried.before.add(sorted.and(expert.lt(own)).cast('i32')),
        count: carried.count.add(hit.cast('i32')),
      }
    })
    const [before, count] = [counts.before.rowSum(), counts.count.rowSum()]

    loop(
      { to: pairs, step: chunk },
      { at: before },
      (from, { at }, emit) => {
        const { pair, expert, real, hit } = part(from)
        const row = at.add(hit.cast('i32').cumsumCols()).sub(1)
        emit(store(list, [tiles.mul(3).add(row)], pair, { where: hit }))
        // the first program tells the pairs of no expert, too
        const outside = own
          .eq(0)
          .and(real)
          .and(expert.lt(0).or(expert.ge(experts)))
        emit(store(position, [pair], select(hit, row, -1), { where: hit.or(outside) }))
        return { at: at.add(hit.cast('i32').rowSum()) }
      },
      p.emit,
    )

    const end = before.add(count)
    const last = own.eq(experts.sub(1))
    const tilesEnd = last.select(tiles, end.div(tileM).add(own).add(1))
    const tilesFrom = before.div(tileM).add(own)
    loop(
      { from: tilesFrom, to: tilesEnd },
      {},
      (tile, _, emit) => {
        const first = before.add(tile.sub(tilesFrom).mul(tileM))
        const rows = end.sub(first).min(tileM).max(0)
        for (const [i, value] of [own, first, rows].entries()) emit(store(list, [tile.mul(3).add(i)], value))
        return {}
      },
      p.emit,
    )
  })
}

const fields: FieldsOf<SortPairsOptions> = {
  chosen: true,
  experts: true,
  tileM: true,
  position: true,
  list: true,
}
