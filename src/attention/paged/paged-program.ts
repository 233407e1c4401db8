import {
  colRange,
  defineProgram,
  load,
  loop,
  type Program,
  rowRange,
  type StorageDType,
  store,
  type Value,
  zeros,
} from '../../tile/index.ts'
import type { MaskMod } from '../hooks.ts'
import type { RowState } from '../normalizers/normalizer.ts'
import { softmax } from '../normalizers/softmax.ts'
import { softCap } from '../scores/soft-cap.ts'
import { type AttendedKeys, accumulatorName, attendTile, scaleQuery, scalesToLog2 } from '../softmax/attend-tile.ts'
import type { PageLayout } from './page-pool.ts'
import { pagedKeys, pageParams, type TilePart, tileParts } from './paged-keys.ts'
import { maxRuns, pagedFields } from './paged-work.ts'

/** All that specialises the program; lengths, positions, window, scale and the pages themselves are run-time values. */
export interface PagedProgramSpec {
  readonly layout: PageLayout
  readonly queryDType: StorageDType
  readonly outputDType: StorageDType
  readonly groupSize: number
  readonly tileQ: number
  readonly tileK: number
  readonly padTo: number
  /** of the pool's tensors */
  readonly alignment: number
  /** of query and output */
  readonly rowAlignment: number
  /** the query heads that share a key/value head are rows of one tile; else a tile has one head */
  readonly packHeads: boolean
  /** is there a window, with its sinks? */
  readonly window: boolean
  readonly softCap: number | null
  /** writes attention states of shares of the keys, for `mergeSplits`, instead of the output */
  readonly states: boolean
}

/**
 * One program owns tileQ rows of queries (with `packHeads` row r is query r / groupSize of head kvHead·groupSize + r mod
 * groupSize), streams the runs of key tiles that its work item names through the page table, and writes their output or one
 * attention state. Query i of a sequence stands at kLength − qLength + i. Traffic: key and value once per tile of rows.
 */
export function pagedProgram(spec: PagedProgramSpec): Program {
  const { layout, tileQ, tileK, groupSize, packHeads, queryDType, alignment, rowAlignment } = spec
  const { headDim } = layout
  const parts = tileParts(layout, spec.padTo)
  return defineProgram(spec.states ? 'pagedSplitKv' : 'pagedFlash', (p) => {
    const query = p.input('query', queryDType, [null, null, headDim], { alignment: rowAlignment })
    const params = pageParams(p, layout, alignment)
    const pageTable = p.input('pageTable', 'i32', [null, null])
    const work = p.input('work', 'i32', [null, pagedFields.length + 3 * maxRuns])
    const scale = p.scalar('scale', 'f32')
    const [window, sinks] = spec.window ? [p.scalar('window', 'i32'), p.scalar('sinks', 'i32')] : [null, null]

    const field = (name: (typeof pagedFields)[number]) => load(work, [p.programId(0), pagedFields.indexOf(name)])
    const [row, qBase, qLength, kLength] = [field('row'), field('qBase'), field('qLength'), field('kLength')]
    const recentFrom = field('recentFrom')
    const rows = rowRange(field('rowStart'), tileQ) //                                     [tileQ, 1]
    const kvHead = packHeads ? p.programId(1) : p.programId(1).div(groupSize)
    const q = packHeads ? rows.div(groupSize) : rows
    const head = packHeads ? rows.mod(groupSize).add(kvHead.mul(groupSize)) : p.programId(1)
    const where = q.lt(qLength)
    const tokens = q.add(qBase)
    // what pads the first part of a head lies in the second
    const columnsOf = ({ from, count, width }: TilePart) => {
      const columns = colRange(from, width)
      return { columns, inside: parts.length > 1 && count < width ? where.and(columns.lt(from + count)) : where }
    }
    const qTiles = parts.map((part) => {
      const { columns, inside } = columnsOf(part)
      return load(query, [tokens, head, columns], { where: inside }) //                    [tileQ, D]
    })

    const scoreMod = spec.softCap === null ? null : softCap(spec.softCap)
    const maskMod: MaskMod = (position) => {
      const at = position.q.add(position.kLength.sub(position.qLength))
      const before = position.k.le(at)
      return window && sinks ? before.and(position.k.gt(at.sub(window)).or(position.k.lt(sinks))) : before
    }
    const attend = { dtype: queryDType, tileK, normalizer: softmax, scoreMod, maskMod }
    const scaled = scalesToLog2(attend) ? scale.mul(Math.LOG2E) : scale
    const keys: AttendedKeys = {
      tiles: pagedKeys({ layout, params, pageTable, row, recentFrom, kvHead, parts, tileK, dtype: queryDType }),
      query: qTiles.map((tile) => scaleQuery(attend, tile, scaled)),
      scale: scaled,
      position: { q, head, batch: row, qLength, kLength },
    }
    const start: Record<string, Value> = { ...softmax.init(tileQ) }
    for (const [i, { width }] of parts.entries()) start[accumulatorName(i)] = zeros([tileQ, width])
    const final = loop({ to: field('runs') }, start, (r, outer) => {
      const run = (part: number) => load(work, [p.programId(0), r.mul(3).add(pagedFields.length + part)])
      return loop({ from: run(0), to: run(1), step: tileK }, outer, (kStart, carried) =>
        attendTile(attend, keys, kStart, run(2).ne(0), carried),
      )
    })
    if (spec.states) {
      const states = p.output('states', 'f32', [null, null, null, headDim])
      const stateSums = p.output('stateSums', 'f32', [null, 2, null, null])
      const split = field('split')
      for (const [i, part] of parts.entries()) {
        const { columns, inside } = columnsOf(part)
        p.emit(store(states, [split, tokens, head, columns], final[accumulatorName(i)] as Value, { where: inside }))
      }
      p.emit(store(stateSums, [split, 0, head, tokens], final.m as Value, { where }))
      p.emit(store(stateSums, [split, 1, head, tokens], final.l as Value, { where }))
      return
    }
    const output = p.output('output', spec.outputDType, [null, null, headDim], { alignment: rowAlignment })
    const done = softmax.finish(final as RowState, null)
    for (const [i, part] of parts.entries()) {
      const { columns, inside } = columnsOf(part)
      const value = (final[accumulatorName(i)] as Value).mul(done.scale as Value)
      p.emit(store(output, [tokens, head, columns], value, { where: inside }))
    }
  })
}
