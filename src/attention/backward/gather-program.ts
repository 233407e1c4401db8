import {
  colRange,
  defineProgram,
  dot,
  load,
  loop,
  type Program,
  type ProgramBuilder,
  rowRange,
  rowSum,
  store,
  type Value,
  zeros,
} from '../../tile/index.ts'
import { scaleQuery, scalesToLog2 } from '../softmax/attend-tile.ts'
import { type BackwardProgramSpec, gradientTile, loadRowTerms } from '../softmax/backward/gradient-tile.ts'
import { keyItemFields } from '../softmax/backward/key-gradient-program.ts'
import { runFields, workWidth } from '../softmax/backward/work-table.ts'
import { itemFields, roundUp } from '../softmax/flash-program.ts'
import type { Gathered } from './collection.ts'

// What captured elements get of each score, before it is known which element a score read: the passes of the backward once
// more, with sums in the place of dQuery, dKey and dValue.

/**
 * Values of the loads numbered `loads`: `rows` sums them over keys [loads, B, H, T], `columns` over queries [loads, B, H, S];
 * `pairs` keeps them as they are, for some heads and queries of one sequence, [loads, heads, queries, S]: the run starts at
 * head `firstHead` and query `fromQ`.
 */
export function gatherProgram(spec: BackwardProgramSpec, gathered: Gathered, loads: readonly number[]): Program {
  return defineProgram(`gather${gathered}`, (p) =>
    gathered === 'columns' ? overQueries(p, spec, loads) : overKeys(p, spec, gathered, loads),
  )
}

function inputs(p: ProgramBuilder, { dtype, alignment, headDim, valueDim }: BackwardProgramSpec) {
  const wide = (name: string, size: number) => p.input(name, dtype, [null, null, null, size], { alignment })
  return {
    query: wide('query', headDim),
    key: wide('key', headDim),
    value: wide('value', valueDim),
    dOutput: wide('dOutput', valueDim),
    rows: p.input('rows', 'f32', [null, null, null, null]),
    work: p.input('work', 'i32', [null, workWidth]),
    scale: p.scalar('scale', 'f32'),
    scaleLog2: p.scalar('scaleLog2', 'f32'),
  }
}

function overKeys(p: ProgramBuilder, spec: BackwardProgramSpec, gathered: Gathered, loads: readonly number[]): void {
  const { tileQ, tileK, packed } = spec
  const { query, key, value, dOutput, rows, work, scale, scaleLog2 } = inputs(p, spec)
  const columns = {
    key: colRange(0, roundUp(spec.headDim, spec.padTo)),
    value: colRange(0, roundUp(spec.valueDim, spec.padTo)),
  }
  const out = p.output('gathered', 'f32', [loads.length, null, null, null])
  const item = p.programId(0).add(p.scalar('firstItem', 'i32'))
  const field = (name: (typeof itemFields)[number]) => load(work, [item, itemFields.indexOf(name)])
  const [batch, qBase, kBase] = [field('batch'), field('qBase'), field('kBase')]
  const [qLength, kLength] = [field('qLength'), field('kLength')]
  const inHead = p.programId(1)
  const pairs =
    gathered === 'pairs'
      ? {
          firstHead: p.scalar('firstHead', 'i32'),
          fromQ: p.scalar('fromQ', 'i32'),
          fromHead: p.scalar('fromHead', 'i32'),
        }
      : null
  const head = pairs ? field('head').add(inHead).add(pairs.firstHead) : field('head').add(inHead)
  const kvHead = head.div(spec.groupSize)
  const row = packed ? 0 : batch
  const q = rowRange(field('qStart'), tileQ) //                                              [tileQ, 1]
  const qRows = q.add(qBase)
  const scaled = scalesToLog2(spec) ? scaleLog2 : scale
  const qTile = scaleQuery(spec, load(query, [row, qRows, head, columns.key]), scaled) //     [tileQ, D]
  const doTile = load(dOutput, [row, qRows, head, columns.value]) //                         [tileQ, Dv]
  const terms = loadRowTerms(spec, rows, row, head, qRows) //                                [tileQ, 1]

  const start: Record<string, Value> = {}
  if (!pairs) for (const at of loads) start[`sum${at}`] = zeros([tileQ, 1])
  const sums = loop(
    { from: field('runFrom'), to: field('runTo') },
    start,
    (run, outer, emitRun) => {
      const [from, to] = [load(work, [run, 0]), load(work, [run, 1])]
      const full = load(work, [run, 2]).ne(0)
      return loop(
        { to: to.sub(from), step: tileK },
        outer,
        (streamed, carried, emit) => {
          const kStart = from.add(streamed)
          const kRows = rowRange(kStart, tileK)
          // beyond a packed sequence lies the next one
          const inTail = packed ? { where: kRows.lt(kLength) } : {}
          const kTile = load(key, [row, kRows.add(kBase), kvHead, columns.key], inTail) //       [tileK, D]
          const vTile = load(value, [row, kRows.add(kBase), kvHead, columns.value], inTail) //   [tileK, Dv]
          const k = colRange(kStart, tileK) //                                                   [1, tileK]
          const { captured } = gradientTile(spec, {
            product: dot(qTile, kTile.T), //                                                     [tileQ, tileK]
            dP: dot(doTile, vTile.T),
            scale: scaled,
            terms,
            position: { q, k, head, batch, qLength, kLength },
            inside: k.lt(kLength),
            full,
            transposed: false,
          })
          const tiles = loads.map((at) => (captured[at] as Value).broadcastTo(tileQ, tileK))
          if (pairs)
            tiles.forEach((tile, i) => {
              const where = q.lt(qLength).and(k.lt(kLength))
              emit(store(out, [i, head.sub(pairs.fromHead), q.sub(pairs.fromQ), k], tile, { where }))
            })
          return Object.fromEntries(
            pairs
              ? []
              : loads.map((at, i) => [`sum${at}`, (carried[`sum${at}`] as Value).add(rowSum(tiles[i] as Value))]),
          )
        },
        emitRun,
      )
    },
    (effect) => p.emit(effect),
  )
  if (pairs) return
  loads.forEach((at, i) => {
    p.emit(store(out, [i, row, head, qRows], sums[`sum${at}`] as Value, { where: q.lt(qLength) }))
  })
}

function overQueries(p: ProgramBuilder, spec: BackwardProgramSpec, loads: readonly number[]): void {
  const { tileQ, tileK, packed } = spec
  const { query, key, value, dOutput, rows, work, scale, scaleLog2 } = inputs(p, spec)
  const columns = {
    key: colRange(0, roundUp(spec.headDim, spec.padTo)),
    value: colRange(0, roundUp(spec.valueDim, spec.padTo)),
  }
  const out = p.output('gathered', 'f32', [loads.length, null, null, null])
  const item = p.programId(0).add(p.scalar('firstItem', 'i32'))
  const field = (name: (typeof keyItemFields)[number]) => load(work, [item, keyItemFields.indexOf(name)])
  const [batch, qBase, kBase] = [field('batch'), field('qBase'), field('kBase')]
  const [qLength, kLength] = [field('qLength'), field('kLength')]
  // the work has one item per query head
  const head = field('kvHead').add(p.programId(1))
  const kvHead = head.div(spec.groupSize)
  const row = packed ? 0 : batch
  const k = rowRange(field('kStart'), tileK) //                                              [tileK, 1]
  const kRows = k.add(kBase)
  const scaled = scalesToLog2(spec) ? scaleLog2 : scale
  const kTile = scaleQuery(spec, load(key, [row, kRows, kvHead, columns.key]), scaled) //     [tileK, D]
  const vTile = load(value, [row, kRows, kvHead, columns.value]) //                          [tileK, Dv]

  const start: Record<string, Value> = Object.fromEntries(loads.map((at) => [`sum${at}`, zeros([tileK, 1])]))
  const sums = loop({ from: field('runFrom'), to: field('runTo') }, start, (run, outer) => {
    const runField = (name: (typeof runFields)[number]) => load(work, [run, runFields.indexOf(name)])
    const [from, to] = [runField('from'), runField('to')]
    const full = runField('full').ne(0)
    return loop({ to: to.sub(from), step: tileQ }, outer, (streamed, carried) => {
      const qStart = from.add(streamed)
      const qRows = rowRange(qStart, tileQ)
      const inTail = packed ? { where: qRows.lt(qLength) } : {}
      const qTile = load(query, [row, qRows.add(qBase), head, columns.key], inTail) //       [tileQ, D]
      const doTile = load(dOutput, [row, qRows.add(qBase), head, columns.value], inTail) //  [tileQ, Dv]
      const q = colRange(qStart, tileQ) //                                                   [1, tileQ]
      const { captured } = gradientTile(spec, {
        product: dot(kTile, qTile.T), //                                                     [tileK, tileQ]
        dP: dot(vTile, doTile.T),
        scale: scaled,
        terms: loadRowTerms(spec, rows, row, head, q.add(qBase)), //                         [1, tileQ]
        position: { q, k, head, batch, qLength, kLength },
        inside: q.lt(qLength),
        full,
        transposed: true,
      })
      return Object.fromEntries(
        loads.map((at) => [
          `sum${at}`,
          (carried[`sum${at}`] as Value).add(rowSum((captured[at] as Value).broadcastTo(tileK, tileQ))),
        ]),
      )
    })
  })
  loads.forEach((at, i) => {
    p.emit(store(out, [i, row, head, kRows], sums[`sum${at}`] as Value, { where: k.lt(kLength) }))
  })
}
