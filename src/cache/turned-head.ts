import type { RopeLayout } from '../nn/rope-tables.ts'
import { loadRope, type RopeTurn, rope, ropeColumns } from '../nn/rope-values.ts'
import { colRange, load, type ProgramBuilder, select, type TensorParam, type Value } from '../tile/index.ts'
import type { Head } from './page-writer.ts'
import type { Piece } from './quantise-pages.ts'

/** Which rotary tables turn heads, and which of their elements are pairs. */
export interface HeadRope {
  readonly layout: RopeLayout
  readonly interleaved: boolean
}

/** The angles of a tile's tokens. */
export interface Turn extends HeadRope {
  at(pairs: Value): RopeTurn
}

/** Declares the tables of `rope`, for the tokens in `rows`. */
export function turnOf(p: ProgramBuilder, rope: HeadRope, positions: TensorParam, rows: Value): Turn {
  const { layout } = rope
  const table = p.input('table', 'f32', [layout.rows, 2 * layout.pairs])
  return { ...rope, at: (pairs) => loadRope(table, layout, load(positions, [rows]), pairs) }
}

/** A head of `width` columns that `read` gives, turned (null: as it is), and with `after` applied to what comes of it. */
export function turnedHead(
  width: number,
  read: (columns: Value) => Value,
  turn: Turn | null,
  after: (columns: Value, x: Value) => Value = (_, x) => x,
): Head {
  const plain = (from: number, count: number): Piece => {
    const columns = colRange(from, count)
    return { columns, value: after(columns, read(columns)) }
  }
  const half = width / 2
  if (!turn) return { pieces: [plain(0, width)], halves: () => [plain(0, half), plain(half, half)] }
  const { layout, interleaved, at } = turn
  const columns = ropeColumns(layout, interleaved, colRange(0, layout.pairs))
  const turned = rope({ first: read(columns.first), second: read(columns.second) }, at(colRange(0, layout.pairs)))
  const rest = width - 2 * layout.pairs
  const pieces = [
    { columns: columns.first, value: after(columns.first, turned.first) },
    { columns: columns.second, value: after(columns.second, turned.second) },
    ...(rest > 0 ? [plain(2 * layout.pairs, rest)] : []),
  ]
  const turnedHalf = (from: number): Piece => {
    const c = colRange(from, half)
    return { columns: c, value: after(c, turnColumns(turn, c, read)) }
  }
  return { pieces, halves: () => (rest === 0 && !interleaved ? pieces : [turnedHalf(0), turnedHalf(half)]) }
}

/** Any columns of a head, turned: those of one half need not have their partners in the other. */
function turnColumns({ layout, interleaved, at }: Turn, columns: Value, read: (columns: Value) => Value): Value {
  const { pairs } = layout
  const pair = interleaved ? columns.shr(1) : columns.mod(pairs)
  const isFirst = interleaved ? columns.and(1).eq(0) : columns.lt(pairs)
  const partner = interleaved ? columns.xor(1) : select(isFirst, columns.add(pairs), columns.sub(pairs))
  const turns = columns.lt(2 * pairs)
  const { cos, sin } = at(select(turns, pair, 0))
  const x = read(columns)
  const turned = x.mul(cos).add(
    read(select(turns, partner, columns))
      .mul(sin)
      .mul(select(isFirst, -1, 1)),
  )
  return select(turns, turned, x)
}
