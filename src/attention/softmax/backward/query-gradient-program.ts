import {
  colRange,
  defineProgram,
  dot,
  load,
  loop,
  type Program,
  rowRange,
  store,
  type Value,
  zeros,
} from '../../../tile/index.ts'
import { scaleQuery, scalesToLog2 } from '../attend-tile.ts'
import { itemFields, roundUp } from '../flash-program.ts'
import { type BackwardProgramSpec, gradientTile, loadRowTerms } from './gradient-tile.ts'
import { workWidth } from './work-table.ts'

/**
 * dQuery = scale · dS · key. One program owns tileQ queries of one head and streams the key tiles of the forward. Traffic:
 * query, dOutput and dQuery once; key and value once per query tile.
 */
export function queryGradientProgram(spec: BackwardProgramSpec): Program {
  const { tileQ, tileK, dtype, alignment, packed } = spec
  const width = roundUp(spec.headDim, spec.padTo)
  const valueWidth = roundUp(spec.valueDim, spec.padTo)
  return defineProgram('flashQueryGradient', (p) => {
    const query = p.input('query', dtype, [null, null, null, spec.headDim], { alignment })
    const key = p.input('key', dtype, [null, null, null, spec.headDim], { alignment })
    const value = p.input('value', dtype, [null, null, null, spec.valueDim], { alignment })
    const dOutput = p.input('dOutput', dtype, [null, null, null, spec.valueDim], { alignment })
    const rows = p.input('rows', 'f32', [null, null, null, null])
    const work = p.input('work', 'i32', [null, workWidth])
    const dQuery = p.output('dQuery', dtype, [null, null, null, spec.headDim], { alignment })
    const scale = p.scalar('scale', 'f32')
    const scaleLog2 = p.scalar('scaleLog2', 'f32')

    const item = p.programId(0).add(p.scalar('firstItem', 'i32'))
    const field = (name: (typeof itemFields)[number]) => load(work, [item, itemFields.indexOf(name)])
    const [batch, qBase, kBase] = [field('batch'), field('qBase'), field('kBase')]
    const [qLength, kLength] = [field('qLength'), field('kLength')]
    const head = field('head').add(p.programId(1))
    const kvHead = head.div(spec.groupSize)
    const row = packed ? 0 : batch
    const q = rowRange(field('qStart'), tileQ) //                                              [tileQ, 1]
    const qRows = q.add(qBase)
    const scaled = scalesToLog2(spec) ? scaleLog2 : scale
    const qTile = scaleQuery(spec, load(query, [row, qRows, head, colRange(0, width)]), scaled) // [tileQ, D]
    const doTile = load(dOutput, [row, qRows, head, colRange(0, valueWidth)]) //               [tileQ, Dv]
    const terms = loadRowTerms(spec, rows, row, head, qRows) //                                      [tileQ, 1]
    const [runFrom, runTo] = [field('runFrom'), field('runTo')]

    const start: Record<string, Value> = { acc: zeros([tileQ, width]) }
    const { acc } = loop({ from: runFrom, to: runTo }, start, (run, outer) => {
      const [from, to] = [load(work, [run, 0]), load(work, [run, 1])]
      const full = load(work, [run, 2]).ne(0)
      return loop({ to: to.sub(from), step: tileK }, outer, (streamed, carried) => {
        const kStart = from.add(streamed)
        const kRows = rowRange(kStart, tileK)
        // beyond a packed sequence lies the next one
        const inTail = packed ? { where: kRows.lt(kLength) } : {}
        const kTile = load(key, [row, kRows.add(kBase), kvHead, colRange(0, width)], inTail) // [tileK, D]
        const vTile = load(value, [row, kRows.add(kBase), kvHead, colRange(0, valueWidth)], inTail) // [tileK, Dv]
        const k = colRange(kStart, tileK) //                                                   [1, tileK]
        const { dS } = gradientTile(spec, {
          product: dot(qTile, kTile.T), //                                                     [tileQ, tileK]
          dP: dot(doTile, vTile.T),
          scale: scaled,
          terms,
          position: { q, k, head, batch, qLength, kLength },
          inside: k.lt(kLength),
          full,
          transposed: false,
        })
        return { acc: (carried.acc as Value).add(dot(dS, kTile)) } //                          [tileQ, D]
      })
    })
    p.emit(store(dQuery, [row, qRows, head, colRange(0, width)], (acc as Value).mul(scale), { where: q.lt(qLength) }))
  })
}
