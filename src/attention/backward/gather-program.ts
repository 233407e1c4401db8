import { defineProgram, type Effect, type Program, rowSum, store, type Value, zeros } from '../../tile/index.ts'
import { type BackwardProgramSpec, gradientTile, type ScoreTile } from '../softmax/backward/gradient-tile.ts'
import { keyPass } from '../softmax/backward/key-pass.ts'
import { queryPass } from '../softmax/backward/query-pass.ts'
import type { Gathered } from './collection.ts'

// What captured elements get of each score, before it is known which element a score read: the passes of the backward once
// more, with sums in the place of dQuery, dKey and dValue.

/**
 * Values of the loads numbered `loads`: `rows` sums them over keys [loads, B, H, T], `columns` over queries [loads, B, H, S];
 * `pairs` keeps them as they are, for some heads and queries of one sequence, [loads, heads, queries, S]: the run starts at
 * head `firstHead` and query `fromQ`.
 */
export function gatherProgram(spec: BackwardProgramSpec, gathered: Gathered, loads: readonly number[]): Program {
  return gathers[gathered](spec, loads)
}

const gathers: Readonly<Record<Gathered, (spec: BackwardProgramSpec, loads: readonly number[]) => Program>> = {
  rows: (spec, loads) =>
    defineProgram('gatherRows', (p) => {
      const { row, head, qRows, q, qLength, stream } = queryPass(p, spec)
      const out = p.output('gathered', 'f32', [loads.length, null, null, null])
      const final = stream(sums(loads, spec.tileQ), ({ tile }, carried) => addSums(carried, spec, tile, loads))
      const where = q.lt(qLength)
      for (const [i, at] of loads.entries())
        p.emit(store(out, [i, row, head, qRows], final[`sum${at}`] as Value, { where }))
    }),
  columns: (spec, loads) =>
    defineProgram('gatherColumns', (p) => {
      const { row, head, kRows, where, stream } = keyPass(p, spec, { eachHead: true })
      const out = p.output('gathered', 'f32', [loads.length, null, null, null])
      const final = stream(sums(loads, spec.tileK), ({ tile }, carried) => addSums(carried, spec, tile, loads))
      for (const [i, at] of loads.entries())
        p.emit(store(out, [i, row, head as Value, kRows], final[`sum${at}`] as Value, { where }))
    }),
  pairs: (spec, loads) =>
    defineProgram('gatherPairs', (p) => {
      const [firstHead, fromQ, fromHead] = (['firstHead', 'fromQ', 'fromHead'] as const).map((name) =>
        p.scalar(name, 'i32'),
      ) as [Value, Value, Value]
      const { head, q, qLength, kLength, stream } = queryPass(p, spec, { headOffset: firstHead })
      const out = p.output('gathered', 'f32', [loads.length, null, null, null])
      stream(
        {},
        ({ tile }, _, emit) => {
          const { k } = tile.position
          const where = q.lt(qLength).and(k.lt(kLength))
          for (const [i, value] of valuesOf(spec, tile, loads).entries())
            emit(store(out, [i, head.sub(fromHead), q.sub(fromQ), k], value, { where }))
          return {}
        },
        (effect: Effect) => p.emit(effect),
      )
    }),
}

/** What each load gets of every score of a tile. */
function valuesOf(spec: BackwardProgramSpec, tile: ScoreTile, loads: readonly number[]): Value[] {
  const { captured } = gradientTile(spec, tile)
  return loads.map((at) => (captured[at] as Value).broadcastTo(tile.product.rows, tile.product.cols))
}

type Sums = Readonly<Record<string, Value>> // [tile rows, 1] each

function sums(loads: readonly number[], rows: number): Sums {
  return Object.fromEntries(loads.map((at) => [`sum${at}`, zeros([rows, 1])]))
}

function addSums(carried: Sums, spec: BackwardProgramSpec, tile: ScoreTile, loads: readonly number[]): Sums {
  const values = valuesOf(spec, tile, loads)
  return Object.fromEntries(
    loads.map((at, i) => [`sum${at}`, (carried[`sum${at}`] as Value).add(rowSum(values[i] as Value))]),
  )
}
