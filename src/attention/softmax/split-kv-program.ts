import {
  colRange,
  defineProgram,
  FoveaError,
  load,
  loop,
  type Program,
  rowRange,
  store,
  type Value,
  zeros,
} from '../../tile/index.ts'
import type { RowState } from '../normalizers/normalizer.ts'
import { type AttendedKeys, attendTile, scaleQuery, scalesToLog2 } from './attend-tile.ts'
import { contiguousKeys } from './contiguous-keys.ts'
import type { FlashProgramSpec } from './flash-program.ts'

/** All that specialises the program; lengths, strides, scale, the splits and the block structure are run-time values. */
export type SplitKvProgramSpec = Omit<FlashProgramSpec, 'sinks'>

/** columns of `items`: one row per program; `rowStart` counts packed rows, `state` is the partial state to write */
export const splitItemFields = [
  'batch',
  'kvHead',
  'rowStart',
  'qBase',
  'qLength',
  'kBase',
  'kLength',
  'runFrom',
  'runTo',
  'state',
] as const

/**
 * One program owns tileQ packed rows of one key/value head: row r is query r / groupSize of head kvHead·groupSize + r mod
 * groupSize, so that a key is read once for all heads that share it. Streams its share of the key tiles, writes one
 * state: Σ p·v, m and l in f32. Traffic: key and value once per tile of rows.
 */
export function splitKvProgram(spec: SplitKvProgramSpec): Program {
  const { tileQ, tileK, normalizer, dtype, alignment, groupSize } = spec
  const { split } = normalizer
  if (!split) throw new FoveaError('unsupported', 'splitKv', `states of the normalizer ${normalizer.name} do not merge`)
  const width = Math.ceil(spec.headDim / spec.padTo) * spec.padTo
  const valueWidth = Math.ceil(spec.valueDim / spec.padTo) * spec.padTo
  return defineProgram('splitKv', (p) => {
    const query = p.input('query', dtype, [null, null, null, spec.headDim])
    const key = p.input('key', dtype, [null, null, null, spec.headDim], { alignment })
    const value = p.input('value', dtype, [null, null, null, spec.valueDim], { alignment })
    const items = p.input('items', 'i32', [null, splitItemFields.length])
    const runs = p.input('runs', 'i32', [null, 3])
    const states = p.output('states', 'f32', [null, null, null, spec.valueDim])
    const stateSums = p.output('stateSums', 'f32', [null, 2, null, null])
    const scale = p.scalar('scale', 'f32')

    const field = (name: (typeof splitItemFields)[number]) =>
      load(items, [p.programId(0), splitItemFields.indexOf(name)])
    const [batch, qBase, kBase, state] = [field('batch'), field('qBase'), field('kBase'), field('state')]
    const [qLength, kLength] = [field('qLength'), field('kLength')]
    const kvHead = field('kvHead').add(p.programId(1))
    const row = spec.packed ? 0 : batch
    const packedRows = rowRange(field('rowStart'), tileQ) //                               [tileQ, 1]
    const q = packedRows.div(groupSize)
    const head = packedRows.mod(groupSize).add(kvHead.mul(groupSize))
    const where = q.lt(qLength)
    const qTile = load(query, [row, q.add(qBase), head, colRange(0, width)], { where }) // [tileQ, D]
    const scaled = scalesToLog2(spec) ? scale.mul(Math.LOG2E) : scale
    const keys: AttendedKeys = {
      tiles: contiguousKeys({ key, value, width, valueWidth, row, kvHead, kBase, kLength, tileK, packed: spec.packed }),
      query: [scaleQuery(spec, qTile, scaled)],
      scale: scaled,
      position: { q, head, batch, qLength, kLength },
    }

    const start: Record<string, Value> = { ...normalizer.init(tileQ), acc: zeros([tileQ, valueWidth]) }
    const { acc, ...rowState } = loop({ from: field('runFrom'), to: field('runTo') }, start, (r, outer) => {
      const full = load(runs, [r, 2]).ne(0)
      return loop({ from: load(runs, [r, 0]), to: load(runs, [r, 1]), step: tileK }, outer, (kStart, carried) =>
        attendTile(spec, keys, kStart, full, carried),
      )
    })
    // as they are, relative to m: an lse in f32 would round every weight by its own size
    const { m, l } = split(rowState as RowState)
    p.emit(store(states, [state, q.add(qBase), head, colRange(0, valueWidth)], acc as Value, { where }))
    p.emit(store(stateSums, [state, 0, head, q.add(qBase)], m, { where }))
    p.emit(store(stateSums, [state, 1, head, q.add(qBase)], l, { where }))
  })
}
