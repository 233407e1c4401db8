import type { PageLayout } from '../attention/paged/page-pool.ts'
import type { RopeLayout } from '../nn/rope-tables.ts'
import { loadRope, type RopeTurn, rope, ropeColumns } from '../nn/rope-values.ts'
import {
  colRange,
  defineProgram,
  load,
  loop,
  type Program,
  type ProgramBuilder,
  rowRange,
  type StorageDType,
  select,
  store,
  type TensorParam,
  type Value,
  zeros,
} from '../tile/index.ts'
import { type Head, pageWriter } from './page-writer.ts'
import type { Piece } from './quantise-pages.ts'

/** The sides of a projected token that a kernel handles. */
export type WriteSide = 'query' | 'key' | 'value'

/** Normalisation of a head, or of all heads of a token as one row: y = x / √(mean x² + eps) · (offset + weight). */
export interface WriteNorm {
  readonly eps: number
  readonly offset: number
  readonly over: 'head' | 'all'
}

/** All that specialises the program; numbers of tokens and positions are run-time values. */
export interface WriteProgramSpec {
  readonly sides: readonly WriteSide[]
  readonly layout: PageLayout
  readonly numHeads: number
  readonly numKvHeads: number
  readonly tileN: number
  readonly rope: { readonly layout: RopeLayout; readonly interleaved: boolean } | null
  readonly queryNorm: WriteNorm | null
  readonly keyNorm: WriteNorm | null
  readonly qkvDType: StorageDType
  readonly queryDType: StorageDType
  readonly normDType: StorageDType
  readonly alignment: { readonly qkv: number; readonly query: number; readonly pool: number }
}

/**
 * One program owns tileN tokens and `headsEach` of the H + 2G heads of their rows: normalises and turns queries and keys,
 * writes queries to `query`, keys and values to the places that their slots name. Traffic: each element once.
 */
export function writePagesProgram(spec: WriteProgramSpec): Program {
  const { sides, layout, numHeads: H, numKvHeads: G, tileN, alignment } = spec
  const { headDim: D, valueDim } = layout
  return defineProgram(`writePages ${sides.join(' ')}`, (p) => {
    const qkv = p.input('qkv', spec.qkvDType, [null, (H + G) * D + G * valueDim], { alignment: alignment.qkv })
    const rows = rowRange(p.programId(0).mul(tileN), tileN) //                                [tileN, 1]
    const headsEach = p.scalar('headsEach', 'i32')
    const firstHead = p.programId(1).mul(headsEach)
    const within = (from: number, count: number) => ({
      from: firstHead.sub(from).max(0),
      to: firstHead.add(headsEach).sub(from).min(count),
    })
    const turn = turnOf(p, spec, rows)
    const [head, valueHead] = [headReader(qkv, rows, D), headReader(qkv, rows, valueDim)]
    // heads are numbered among those of the sides that this kernel handles
    let before = 0
    if (sides.includes('query')) {
      const query = p.output('query', spec.queryDType, [null, H, D], { alignment: alignment.query })
      const norm = normOf(p, spec, 'query', qkv, rows)
      loop(
        within(before, H),
        {},
        (h, _, emit) => {
          for (const { columns, value } of head(h, h.mul(D), norm, turn).pieces)
            emit(store(query, [rows, h, columns], value))
          return {}
        },
        p.emit,
      )
      before += H
    }
    if (!sides.includes('key') && !sides.includes('value')) return
    const target = pageWriter(p, { layout, alignment: alignment.pool }, rows)
    if (sides.includes('key')) {
      const norm = normOf(p, spec, 'key', qkv, rows)
      const write = target('key')
      loop(
        within(before, G),
        {},
        (g, _, emit) => {
          write(g, head(g, g.add(H).mul(D), norm, turn), emit)
          return {}
        },
        p.emit,
      )
      before += G
    }
    if (sides.includes('value')) {
      const write = target('value')
      loop(
        within(before, G),
        {},
        (g, _, emit) => {
          write(g, valueHead(g, g.mul(valueDim).add((H + G) * D), null, null), emit)
          return {}
        },
        p.emit,
      )
    }
  })
}

/** The angles of the tile's tokens. */
interface Turn {
  readonly layout: RopeLayout
  readonly interleaved: boolean
  at(pairs: Value): RopeTurn
}

function turnOf(p: ProgramBuilder, { rope, sides }: WriteProgramSpec, rows: Value): Turn | null {
  if (!rope || (!sides.includes('query') && !sides.includes('key'))) return null
  const { layout, interleaved } = rope
  const positions = p.input('positions', 'i32', [null])
  const table = p.input('table', 'f32', [layout.rows, 2 * layout.pairs])
  return { layout, interleaved, at: (pairs) => loadRope(table, layout, load(positions, [rows]), pairs) }
}

/** Factor [tileN, 1] and weights of a head's columns. */
interface Norm {
  factor(base: Value): Value
  weight(head: Value, columns: Value): Value
}

function normOf(
  p: ProgramBuilder,
  spec: WriteProgramSpec,
  side: 'query' | 'key',
  qkv: TensorParam,
  rows: Value,
): Norm | null {
  const norm = side === 'query' ? spec.queryNorm : spec.keyNorm
  if (!norm) return null
  const { numHeads: H, numKvHeads: G, tileN } = spec
  const D = spec.layout.headDim
  const { eps, offset, over } = norm
  const heads = side === 'query' ? H : G
  const first = side === 'query' ? 0 : H
  const weights = p.input(`${side}Norm`, spec.normDType, [over === 'all' ? heads * D : D])
  const squares = (base: Value) => {
    const x = load(qkv, [rows, colRange(base, D)]).cast('f32')
    return x.mul(x).rowSum()
  }
  const factorOf = (sum: Value, count: number) =>
    sum
      .mul(1 / count)
      .add(eps)
      .rsqrt()
  const whole =
    over === 'all'
      ? factorOf(
          loop({ to: heads }, { sum: zeros([tileN, 1]) }, (h, { sum }) => ({
            sum: sum.add(squares(h.add(first).mul(D))),
          })).sum,
          heads * D,
        )
      : null
  return {
    factor: (base) => whole ?? factorOf(squares(base), D),
    weight: (head, columns) => {
      const w = load(weights, [over === 'all' ? columns.add(head.mul(D)) : columns]).cast('f32')
      return offset === 0 ? w : w.add(offset)
    },
  }
}

/** Reads a head of width D of the tile's tokens, from column `base` of their rows, normalised and turned. */
function headReader(qkv: TensorParam, rows: Value, D: number) {
  return (head: Value, base: Value, norm: Norm | null, turn: Turn | null): Head => {
    const factor = norm?.factor(base)
    const read = (columns: Value): Value => {
      const x = load(qkv, [rows, columns.add(base)]).cast('f32')
      return norm && factor ? x.mul(factor).mul(norm.weight(head, columns)) : x
    }
    const plain = (from: number, count: number): Piece => {
      const columns = colRange(from, count)
      return { columns, value: read(columns) }
    }
    if (!turn) return { pieces: [plain(0, D)], halves: () => [plain(0, D / 2), plain(D / 2, D / 2)] }
    const { layout, interleaved, at } = turn
    const columns = ropeColumns(layout, interleaved, colRange(0, layout.pairs))
    const turned = rope({ first: read(columns.first), second: read(columns.second) }, at(colRange(0, layout.pairs)))
    const rest = D - 2 * layout.pairs
    const pieces = [
      { columns: columns.first, value: turned.first },
      { columns: columns.second, value: turned.second },
      ...(rest > 0 ? [plain(2 * layout.pairs, rest)] : []),
    ]
    const half = (from: number): Piece => {
      const c = colRange(from, D / 2)
      return { columns: c, value: turnColumns(turn, c, read) }
    }
    return { pieces, halves: () => (rest === 0 && !interleaved ? pieces : [half(0), half(D / 2)]) }
  }
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
