import {
  colRange,
  defineProgram,
  load,
  loop,
  type Program,
  rowRange,
  store,
  type Value,
  zeros,
} from '../../tile/index.ts'
import type { RowState } from '../normalizers/normalizer.ts'
import { type AttendedKeys, type AttendSpec, attendTile, scaleQuery, scalesToLog2 } from './attend-tile.ts'
import { contiguousKeys } from './contiguous-keys.ts'

/** All that specialises the program; lengths, strides, scale and the block structure are run-time values. */
export interface FlashProgramSpec extends AttendSpec {
  readonly headDim: number
  readonly valueDim: number
  readonly groupSize: number
  readonly tileQ: number
  /** tensors of packed sequences: batch size 1, sequences one after the other */
  readonly packed: boolean
  /** sizes of tiles are rounded up to a multiple of this */
  readonly padTo: number
  readonly alignment: number
  readonly sinks: boolean
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
    const scaled = scalesToLog2(spec) ? scaleLog2 : scale
    const qTile = load(query, [row, q.add(qBase), head, colRange(0, width)]) //            [tileQ, D]
    const keys: AttendedKeys = {
      tiles: contiguousKeys({ key, value, width, valueWidth, row, kvHead, kBase, kLength, tileK, packed: spec.packed }),
      query: [scaleQuery(spec, qTile, scaled)],
      scale: scaled,
      position: { q, head, batch, qLength, kLength },
    }

    const start = { ...normalizer.init(tileQ), acc: zeros([tileQ, valueWidth]) }
    // the last keys first: scores that fall with distance then reach their maximum at once, and no sum is rescaled after it
    const [runFrom, runTo] = [field('runFrom'), field('runTo')]
    const final = loop({ to: runTo.sub(runFrom) }, start as Record<string, Value>, (before, outer) => {
      const r = runTo.sub(1).sub(before)
      const [from, to] = [load(runs, [r, 0]), load(runs, [r, 1])]
      const full = load(runs, [r, 2]).ne(0)
      return loop({ to: to.sub(from), step: tileK }, outer, (streamed, carried) =>
        attendTile(spec, keys, to.sub(tileK).sub(streamed), full, carried),
      )
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

/** `n`, or the next multiple. */
export function roundUp(n: number, multiple: number): number {
  return Math.ceil(n / multiple) * multiple
}
