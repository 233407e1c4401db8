import {
  colRange,
  dot,
  load,
  loop,
  type Operand,
  type ProgramBuilder,
  rowRange,
  type Value,
} from '../../../tile/index.ts'
import { scaleQuery } from '../attend-tile.ts'
import { type BackwardProgramSpec, loadRowTerms, type ScoreTile } from './gradient-tile.ts'
import { passArguments } from './pass-arguments.ts'
import { runFields } from './work-table.ts'

/** columns of a work table's items: one row per program */
export const keyItemFields = [
  'batch',
  'kvHead',
  'kStart',
  'qBase',
  'qLength',
  'kBase',
  'kLength',
  'runFrom',
  'runTo',
] as const

/** A program's tile of keys of one head, and the query tiles that it streams. */
export interface KeyPass {
  /** where the rows of this sequence and key head lie in tensors [B, S, Hkv, …] */
  readonly row: Operand
  readonly kvHead: Value
  /** the query head, where a program meets those of one only */
  readonly head: Value | null
  readonly kRows: Value // [tileK, 1]
  /** is a row inside its sequence? */
  readonly where: Value // [tileK, 1]
  /** factor of the scores */
  readonly scale: Value
  /** Calls `round` for each query tile of the program's item, in order; gives the carried values after the last. */
  stream<Carried extends Readonly<Record<string, Value>>>(
    start: Carried,
    round: (
      met: { readonly tile: ScoreTile; readonly queries: Value; readonly dOutputs: Value },
      carried: Carried,
    ) => Carried,
  ): Carried
}

/**
 * Declares what a pass over keys reads: query, key, value, dOutput, the row terms, and the transposed work. Scores are computed
 * transposed, [tileK, tileQ], so that all products have the shapes of the forward. A program meets the heads of its group in
 * turn, or, with `eachHead`, those of one query head, by which its work has items.
 */
export function keyPass(
  p: ProgramBuilder,
  spec: BackwardProgramSpec,
  options: { readonly eachHead?: boolean } = {},
): KeyPass {
  const { tileQ, tileK, packed } = spec
  const given = passArguments(p, spec, keyItemFields)
  const { query, key, work, scale, scaled, columns, field, batch, qBase, kBase, qLength, kLength, row } = given
  const { value, dOutput, rows, columns: valueColumns } = given.values as NonNullable<typeof given.values>

  const inItem = field('kvHead').add(p.programId(1))
  const only = options.eachHead ? inItem : null
  const kvHead = only ? only.div(spec.groupSize) : inItem
  const k = rowRange(field('kStart'), tileK) //                                               [tileK, 1]
  const kRows = k.add(kBase)
  const kTile = scaleQuery(spec, load(key, [row, kRows, kvHead, columns]), scaled) //      [tileK, D]
  const vTile = load(value, [row, kRows, kvHead, valueColumns]) //                           [tileK, Dv]

  return {
    ...{ row, kvHead, head: only, kRows, where: k.lt(kLength), scale },
    stream: (start, round) =>
      loop({ from: field('runFrom'), to: field('runTo') }, start, (run, ofRun) => {
        const runField = (name: (typeof runFields)[number]) => load(work, [run, runFields.indexOf(name)])
        const [from, to] = [runField('from'), runField('to')]
        const full = runField('full').ne(0)
        const head = only ?? kvHead.mul(spec.groupSize).add(runField('member'))
        return loop({ to: to.sub(from), step: tileQ }, ofRun, (streamed, carried) => {
          const qStart = from.add(streamed)
          const qRows = rowRange(qStart, tileQ)
          // beyond a packed sequence lies the next one
          const inTail = packed ? { where: qRows.lt(qLength) } : {}
          const at = [row, qRows.add(qBase), head] as const
          const queries = load(query, [...at, columns], inTail) //                        [tileQ, D]
          const dOutputs = load(dOutput, [...at, valueColumns], inTail) //                   [tileQ, Dv]
          const q = colRange(qStart, tileQ) //                                                [1, tileQ]
          const inside = q.lt(qLength)
          const tile: ScoreTile = {
            product: dot(kTile, queries.T), //                                                [tileK, tileQ]
            dP: dot(vTile, dOutputs.T),
            scale: scaled,
            terms: loadRowTerms(spec, rows, row, head, q.add(qBase), packed ? inside : undefined), // [1, tileQ]
            position: { q, k, head, batch, qLength, kLength },
            inside,
            full,
            transposed: true,
          }
          return round({ tile, queries, dOutputs }, carried)
        })
      }) as typeof start,
  }
}
