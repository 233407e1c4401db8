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
import { roundUp } from '../flash-program.ts'
import { type BackwardProgramSpec, gradientTile, loadRowTerms } from './gradient-tile.ts'
import { runFields, workWidth } from './work-table.ts'

/**
 * Where the gradients go: two tensors, or, as no kernel may write one memory through two bindings, one tensor
 * [2, B, S, Hkv, D] that holds both. With `key` or `value` the program gives that one alone and spends a binding less.
 */
export type KeyGradientOutputs = 'separate' | 'joined' | 'key' | 'value'

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

/**
 * dKey = scale · dSᵀ · query and dValue = pᵀ · dOutput. One program owns tileK keys of one key head and streams the query
 * tiles that meet them, of each head of its group in turn; scores are computed transposed, [tileK, tileQ], so that all four
 * products have the shapes of the forward. Traffic: key, value and their gradients once; query and dOutput once per key tile.
 */
export function keyGradientProgram(spec: BackwardProgramSpec & { readonly outputs: KeyGradientOutputs }): Program {
  const { tileQ, tileK, dtype, alignment, packed, outputs } = spec
  const width = roundUp(spec.headDim, spec.padTo)
  const valueWidth = roundUp(spec.valueDim, spec.padTo)
  return defineProgram('flashKeyGradient', (p) => {
    const query = p.input('query', dtype, [null, null, null, spec.headDim], { alignment })
    const key = p.input('key', dtype, [null, null, null, spec.headDim], { alignment })
    const value = p.input('value', dtype, [null, null, null, spec.valueDim], { alignment })
    const dOutput = p.input('dOutput', dtype, [null, null, null, spec.valueDim], { alignment })
    const rows = p.input('rows', 'f32', [null, null, null, null])
    const work = p.input('work', 'i32', [null, workWidth])
    const output = (name: string, sizes: readonly (number | null)[]) => p.output(name, dtype, sizes, { alignment })
    const both = outputs === 'joined' ? output('dKeyValue', [2, null, null, null, spec.headDim]) : null
    const dKey = outputs === 'separate' || outputs === 'key' ? output('dKey', [null, null, null, spec.headDim]) : null
    const dValue =
      outputs === 'separate' || outputs === 'value' ? output('dValue', [null, null, null, spec.valueDim]) : null
    const scale = p.scalar('scale', 'f32')
    const scaleLog2 = p.scalar('scaleLog2', 'f32')

    const item = p.programId(0).add(p.scalar('firstItem', 'i32'))
    const field = (name: (typeof keyItemFields)[number]) => load(work, [item, keyItemFields.indexOf(name)])
    const [batch, qBase, kBase] = [field('batch'), field('qBase'), field('kBase')]
    const [qLength, kLength] = [field('qLength'), field('kLength')]
    const kvHead = field('kvHead').add(p.programId(1))
    const row = packed ? 0 : batch
    const k = rowRange(field('kStart'), tileK) //                                              [tileK, 1]
    const kRows = k.add(kBase)
    const scaled = scalesToLog2(spec) ? scaleLog2 : scale
    const kTile = scaleQuery(spec, load(key, [row, kRows, kvHead, colRange(0, width)]), scaled) // [tileK, D]
    const vTile = load(value, [row, kRows, kvHead, colRange(0, valueWidth)]) //                [tileK, Dv]
    const [runFrom, runTo] = [field('runFrom'), field('runTo')]

    // values first: their weights are known before dS is
    const start: Record<string, Value> = {
      ...(outputs === 'key' ? {} : { accV: zeros([tileK, valueWidth]) }),
      ...(outputs === 'value' ? {} : { accK: zeros([tileK, width]) }),
    }
    const { accK, accV } = loop({ from: runFrom, to: runTo }, start, (run, outer) => {
      const runField = (name: (typeof runFields)[number]) => load(work, [run, runFields.indexOf(name)])
      const [from, to] = [runField('from'), runField('to')]
      const full = runField('full').ne(0)
      const head = kvHead.mul(spec.groupSize).add(runField('member'))
      return loop({ to: to.sub(from), step: tileQ }, outer, (streamed, carried) => {
        const qStart = from.add(streamed)
        const qRows = rowRange(qStart, tileQ)
        // beyond a packed sequence lies the next one
        const inTail = packed ? { where: qRows.lt(qLength) } : {}
        const qTile = load(query, [row, qRows.add(qBase), head, colRange(0, width)], inTail) // [tileQ, D]
        const doTile = load(dOutput, [row, qRows.add(qBase), head, colRange(0, valueWidth)], inTail) // [tileQ, Dv]
        const q = colRange(qStart, tileQ) //                                                   [1, tileQ]
        const { p: weights, dS } = gradientTile(spec, {
          product: dot(kTile, qTile.T), //                                                     [tileK, tileQ]
          dP: dot(vTile, doTile.T),
          scale: scaled,
          terms: loadRowTerms(spec, rows, row, head, q.add(qBase)), //                                [1, tileQ]
          position: { q, k, head, batch, qLength, kLength },
          inside: q.lt(qLength),
          full,
          transposed: true,
        })
        const next: Record<string, Value> = {}
        if (carried.accV) next.accV = carried.accV.add(dot(weights, doTile)) //                [tileK, Dv]
        if (carried.accK) next.accK = carried.accK.add(dot(dS, qTile)) //                      [tileK, D]
        return next
      })
    })
    const where = k.lt(kLength)
    const at = [row, kRows, kvHead] as const
    if (accK) {
      const [columns, gradient] = [colRange(0, width), accK.mul(scale)]
      if (both) p.emit(store(both, [0, ...at, columns], gradient, { where }))
      if (dKey) p.emit(store(dKey, [...at, columns], gradient, { where }))
    }
    if (accV) {
      const columns = colRange(0, valueWidth)
      if (both) p.emit(store(both, [1, ...at, columns], accV, { where }))
      if (dValue) p.emit(store(dValue, [...at, columns], accV, { where }))
    }
  })
}
