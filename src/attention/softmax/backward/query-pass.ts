import {
  colRange,
  dot,
  type Effect,
  load,
  loop,
  type Operand,
  type ProgramBuilder,
  rowRange,
  type Value,
} from '../../../tile/index.ts'
import { scaleQuery } from '../attend-tile.ts'
import { itemFields } from '../flash-program.ts'
import { type BackwardProgramSpec, loadRowTerms, type ScoreTile } from './gradient-tile.ts'
import { passArguments } from './pass-arguments.ts'

/** A program's tile of queries of one head, and the key tiles that it streams. */
export interface QueryPass {
  /** where the rows of this sequence and head lie in tensors [B, T, H, …] */
  readonly row: Operand
  readonly head: Value
  readonly qRows: Value // [tileQ, 1]
  /** counted from the start of the sequence */
  readonly q: Value // [tileQ, 1]
  readonly qLength: Value
  readonly kLength: Value
  /** factor of the scores */
  readonly scale: Value
  /** the columns of queries and keys, padded */
  readonly columns: Value // [1, D]
  /** Calls `round` for each key tile of the program's item, in order; gives the carried values after the last. */
  stream<Carried extends Readonly<Record<string, Value>>>(
    start: Carried,
    round: (
      met: { readonly tile: ScoreTile; readonly keys: Value },
      carried: Carried,
      emit: (effect: Effect) => void,
    ) => Carried,
    outer?: (effect: Effect) => void,
  ): Carried
}

/**
 * Declares what a pass over queries reads: query, key, value, dOutput, the row terms, and the forward's work. `scoresOnly`: no
 * values and gradients, tiles have no `dP` and no terms then. `headOffset` is added to the head of each item.
 */
export function queryPass(
  p: ProgramBuilder,
  spec: BackwardProgramSpec,
  options: { readonly scoresOnly?: boolean; readonly headOffset?: Value } = {},
): QueryPass {
  const { tileQ, tileK, packed } = spec
  const given = passArguments(p, spec, itemFields, options)
  const { query, key, values, work, scale, scaled, columns, field, batch, qBase, kBase, qLength, kLength, row } = given
  const inItem = field('head').add(p.programId(1))
  const head = options.headOffset ? inItem.add(options.headOffset) : inItem
  const kvHead = head.div(spec.groupSize)
  const q = rowRange(field('qStart'), tileQ) //                                              [tileQ, 1]
  const qRows = q.add(qBase)
  const qTile = scaleQuery(spec, load(query, [row, qRows, head, columns]), scaled) //         [tileQ, D]
  const doTile = values && load(values.dOutput, [row, qRows, head, values.columns]) //        [tileQ, Dv]
  const terms = values ? loadRowTerms(spec, values.rows, row, head, qRows) : [] //            [tileQ, 1]

  return {
    ...{ row, head, qRows, q, qLength, kLength, scale, columns },
    stream: (start, round, outer) =>
      loop(
        { from: field('runFrom'), to: field('runTo') },
        start,
        (run, ofRun, emitRun) => {
          const [from, to] = [load(work, [run, 0]), load(work, [run, 1])]
          const full = load(work, [run, 2]).ne(0)
          return loop(
            { to: to.sub(from), step: tileK },
            ofRun,
            (streamed, carried, emit) => {
              const kStart = from.add(streamed)
              const kRows = rowRange(kStart, tileK)
              // beyond a packed sequence lies the next one
              const inTail = packed ? { where: kRows.lt(kLength) } : {}
              const at = [row, kRows.add(kBase), kvHead] as const
              const keys = load(key, [...at, columns], inTail) //                             [tileK, D]
              const vTile = values && load(values.value, [...at, values.columns], inTail) //  [tileK, Dv]
              const k = colRange(kStart, tileK) //                                            [1, tileK]
              const tile: ScoreTile = {
                product: dot(qTile, keys.T), //                                               [tileQ, tileK]
                dP: doTile && vTile && dot(doTile, vTile.T),
                scale: scaled,
                terms,
                position: { q, k, head, batch, qLength, kLength },
                inside: k.lt(kLength),
                full,
                transposed: false,
              }
              return round({ tile, keys }, carried, emit)
            },
            emitRun,
          )
        },
        outer,
      ) as typeof start,
  }
}
