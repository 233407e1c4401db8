import {
  colRange,
  defineProgram,
  dot,
  load,
  loop,
  type Program,
  rowRange,
  type StorageDType,
  select,
  store,
  type Value,
  zeros,
} from '../../tile/index.ts'
import type { MaskMod, ScoreMod } from '../hooks.ts'
import type { Normalizer, RowState } from '../normalizers/normalizer.ts'

/** All that specialises the program; lengths, strides, scale and the block structure are run-time values. */
export interface FlashProgramSpec {
  readonly dtype: StorageDType
  readonly headDim: number
  readonly valueDim: number
  readonly groupSize: number
  readonly tileQ: number
  readonly tileK: number
  /** sizes of tiles are rounded up to a multiple of this */
  readonly padTo: number
  readonly alignment: number
  readonly packed: boolean
  readonly sinks: boolean
  readonly normalizer: Normalizer
  readonly scoreMod: ScoreMod | null
  readonly maskMod: MaskMod | null
}

/** columns of `items`: one row per program */
export const itemFields = [
  'batch',
  'head',
  'qStart',
  'qBase',
  'qLength',
  'kBase',
  'kLength',
  'runFrom',
  'runTo',
] as const

/**
 * One program owns tileQ query rows of one head: streams the runs of key tiles that its mask leaves, keeps the row state
 * and an accumulator. Traffic: query, output once; key, value once per query tile.
 */
export function flashProgram(spec: FlashProgramSpec): Program {
  const { tileQ, tileK, normalizer, dtype, alignment } = spec
  const width = roundUp(spec.headDim, spec.padTo)
  const valueWidth = roundUp(spec.valueDim, spec.padTo)
  return defineProgram('flash', (p) => {
    const query = p.input('query', dtype, [null, null, null, spec.headDim], { alignment })
    const key = p.input('key', dtype, [null, null, null, spec.headDim], { alignment })
    const value = p.input('value', dtype, [null, null, null, spec.valueDim], { alignment })
    const sinks = spec.sinks ? p.input('sinks', 'f32', [null]) : null
    const items = p.input('items', 'i32', [null, itemFields.length])
    const runs = p.input('runs', 'i32', [null, 3])
    const output = p.output('output', dtype, [null, null, null, spec.valueDim], { alignment })
    const lse = p.output('lse', 'f32', [null, null, null])
    const scale = p.scalar('scale', 'f32')
    const scaleLog2 = p.scalar('scaleLog2', 'f32')

    const field = (name: (typeof itemFields)[number]) => load(items, [p.programId(0), itemFields.indexOf(name)])
    const [batch, qBase, kBase] = [field('batch'), field('qBase'), field('kBase')]
    const [qLength, kLength] = [field('qLength'), field('kLength')]
    const head = field('head').add(p.programId(1))
    const kvHead = head.div(spec.groupSize)
    // tensors of packed sequences have batch size 1; `batch` then counts sequences
    const row = spec.packed ? 0 : batch
    const q = rowRange(field('qStart'), tileQ) //                                          [tileQ, 1]
    const log2Units = normalizer.units === 'log2'
    const scaled = spec.scoreMod || !log2Units ? scale : scaleLog2
    const qTile = load(query, [row, q.add(qBase), head, colRange(0, width)]) //            [tileQ, D]
    // scaling f32 queries once is exact enough; narrow ones would be rounded again
    const early = dtype === 'f32'
    const left = early ? qTile.mul(scaled) : qTile

    const start = { ...normalizer.init(tileQ), acc: zeros([tileQ, valueWidth]) }
    // the last keys first: scores that fall with distance then reach their maximum at once, and no sum is rescaled after it
    const [runFrom, runTo] = [field('runFrom'), field('runTo')]
    const final = loop({ to: runTo.sub(runFrom) }, start as Record<string, Value>, (before, outer) => {
      const r = runTo.sub(1).sub(before)
      const [from, to] = [load(runs, [r, 0]), load(runs, [r, 1])]
      const full = load(runs, [r, 2]).ne(0)
      return loop({ to: to.sub(from), step: tileK }, outer, (streamed, { acc, ...state }) => {
        const kStart = to.sub(tileK).sub(streamed)
        const kRows = rowRange(kStart, tileK)
        const k = colRange(kStart, tileK) //                                               [1, tileK]
        const kTile = load(key, [row, kRows.add(kBase), kvHead, colRange(0, width)]) //    [tileK, D]
        let s = dot(left, kTile.T) //                                                      [tileQ, tileK]
        if (!early) s = s.mul(scaled)
        if (spec.scoreMod) s = spec.scoreMod({ score: s, q, k, head, batch, qLength, kLength })
        if (spec.scoreMod && log2Units) s = s.mul(Math.LOG2E)
        const inside = k.lt(kLength)
        const allowed = spec.maskMod ? spec.maskMod({ q, k, head, batch, qLength, kLength }).and(inside) : inside
        s = select(full, s, select(allowed, s, Number.NEGATIVE_INFINITY))
        const { state: next, p: weights, alpha } = normalizer.step(state as RowState, s)
        const vTile = load(
          value,
          [row, kRows.add(kBase), kvHead, colRange(0, valueWidth)],
          spec.packed ? { where: kRows.lt(kLength) } : {},
        )
        const kept = alpha ? (acc as Value).mul(alpha) : (acc as Value)
        return { ...next, acc: kept.add(dot(weights, vTile)) } //                          [tileQ, Dv]
      })
    })
    const { acc, ...state } = final
    const sink = sinks ? load(sinks, [head]) : null
    const done = normalizer.finish(state as RowState, sink)
    const where = q.lt(qLength)
    const rows = q.add(qBase)
    p.emit(
      store(
        output,
        [row, rows, head, colRange(0, valueWidth)],
        done.scale ? (acc as Value).mul(done.scale) : (acc as Value),
        { where },
      ),
    )
    p.emit(store(lse, [row, head, rows], done.lse, { where }))
  })
}

function roundUp(n: number, multiple: number): number {
  return Math.ceil(n / multiple) * multiple
}
