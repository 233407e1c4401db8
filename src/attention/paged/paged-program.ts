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
import type { MaskMod, ScoreMod } from '../hooks.ts'
import type { RowState } from '../normalizers/normalizer.ts'
import { softmax } from '../normalizers/softmax.ts'
import { softCap } from '../scores/soft-cap.ts'
import { type AttendedKeys, accumulatorName, attendTile, scaleQuery, scalesToLog2 } from '../softmax/attend-tile.ts'
import { type PageLayout, storedKeyDim } from './page-pool.ts'
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
  /** do queries see keys of their own chunk alone? */
  readonly chunk: boolean
  readonly softCap: number | null
  /** is there a slope for each head? */
  readonly alibi: boolean
  /** does a logit for each head join the sum of the weights? With `states` that is for `mergeSplits` to do. */
  readonly sinkLogits: boolean
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
  const { headDim, valueDim, format } = layout
  const keyParts = tileParts(format, storedKeyDim(layout), spec.padTo)
  const valueParts = tileParts(format, valueDim, spec.padTo)
  const queryParts = layout.latent
    ? [...valueParts, ...keyParts.map((part) => ({ ...part, from: part.from + valueDim }))]
    : keyParts
  return defineProgram(spec.states ? 'pagedSplitKv' : 'pagedFlash', (p) => {
    const query = p.input('query', queryDType, [null, null, headDim], { alignment: rowAlignment })
    const params = pageParams(p, layout, alignment)
    const pageTable = p.input('pageTable', 'i32', [null, null])
    const work = p.input('work', 'i32', [null, pagedFields.length + 3 * maxRuns])
    const scale = p.scalar('scale', 'f32')
    const slopes = spec.alibi ? p.input('alibiSlopes', 'f32', [null]) : null
    const [window, sinks] = spec.window ? [p.scalar('window', 'i32'), p.scalar('sinks', 'i32')] : [null, null]
    const chunk = spec.chunk ? p.scalar('chunk', 'i32') : null

    const field = (name: (typeof pagedFields)[number]) => load(work, [p.programId(0), pagedFields.indexOf(name)])
    const [row, qBase, qLength, kLength] = [field('row'), field('qBase'), field('qLength'), field('kLength')]
    const recentFrom = field('recentFrom')
    const rows = rowRange(field('rowStart'), tileQ) //                                     [tileQ, 1]
    const kvHead = packHeads ? p.programId(1) : p.programId(1).div(groupSize)
    const q = packHeads ? rows.div(groupSize) : rows
    const head = packHeads ? rows.mod(groupSize).add(kvHead.mul(groupSize)) : p.programId(1)
    const where = q.lt(qLength)
    const tokens = q.add(qBase)
    // what pads a part of a head may lie in the next
    const columnsOf = ({ from, count, width }: TilePart, { length }: readonly TilePart[]) => {
      const columns = colRange(from, width)
      return { columns, inside: length > 1 && count < width ? where.and(columns.lt(from + count)) : where }
    }
    const qTiles = queryParts.map((part) => {
      const { columns, inside } = columnsOf(part, queryParts)
      return load(query, [tokens, head, columns], { where: inside }) //                    [tileQ, D]
    })

    const at = q.add(kLength.sub(qLength)) //                                              [tileQ, 1]
    const slope = slopes && load(slopes, [head])
    const byDistance: ScoreMod | null = slope && (({ score, k }) => score.add(slope.mul(k.sub(at))))
    const scoreMod = spec.softCap === null ? byDistance : softCap(spec.softCap)
    const maskMod: MaskMod = ({ k }) => {
      const before = k.le(at)
      const seen = window && sinks ? before.and(k.gt(at.sub(window)).or(k.lt(sinks))) : before
      return chunk ? seen.and(k.ge(at.sub(at.mod(chunk)))) : seen
    }
    const attend = { dtype: queryDType, tileK, normalizer: softmax, scoreMod, maskMod }
    const scaled = scalesToLog2(attend) ? scale.mul(Math.LOG2E) : scale
    const keys: AttendedKeys = {
      tiles: pagedKeys({
        layout,
        params,
        pageTable,
        row,
        kLength,
        recentFrom,
        kvHead,
        keyParts,
        valueParts,
        tileK,
        dtype: queryDType,
      }),
      query: qTiles.map((tile) => scaleQuery(attend, tile, scaled)),
      scale: scaled,
      position: { q, head, batch: row, qLength, kLength },
    }
    const start: Record<string, Value> = { ...softmax.init(tileQ) }
    for (const [i, { width }] of valueParts.entries()) start[accumulatorName(i)] = zeros([tileQ, width])
    const final = loop({ to: field('runs') }, start, (r, outer) => {
      const run = (part: number) => load(work, [p.programId(0), r.mul(3).add(pagedFields.length + part)])
      return loop({ from: run(0), to: run(1), step: tileK }, outer, (kStart, carried) =>
        attendTile(attend, keys, kStart, run(2).ne(0), carried),
      )
    })
    if (spec.states) {
      const states = p.output('states', 'f32', [null, null, null, valueDim])
      const stateSums = p.output('stateSums', 'f32', [null, 2, null, null])
      const split = field('split')
      for (const [i, part] of valueParts.entries()) {
        const { columns, inside } = columnsOf(part, valueParts)
        p.emit(store(states, [split, tokens, head, columns], final[accumulatorName(i)] as Value, { where: inside }))
      }
      p.emit(store(stateSums, [split, 0, head, tokens], final.m as Value, { where }))
      p.emit(store(stateSums, [split, 1, head, tokens], final.l as Value, { where }))
      return
    }
    const output = p.output('output', spec.outputDType, [null, null, valueDim], { alignment: rowAlignment })
    const sink = spec.sinkLogits ? load(p.input('sinkLogits', 'f32', [null]), [head]) : null
    const done = softmax.finish(final as RowState, sink)
    for (const [i, part] of valueParts.entries()) {
      const { columns, inside } = columnsOf(part, valueParts)
      const value = (final[accumulatorName(i)] as Value).mul(done.scale as Value)
      p.emit(store(output, [tokens, head, columns], value, { where: inside }))
    }
  })
}
