import {
  colRange,
  defineProgram,
  dot,
  load,
  loop,
  type Program,
  rowRange,
  select,
  store,
  type Value,
} from '../../../tile/index.ts'
import type { RowState } from '../../normalizers/normalizer.ts'
import { scaleQuery, scalesToLog2 } from '../attend-tile.ts'
import { itemFields, roundUp } from '../flash-program.ts'
import type { BackwardProgramSpec } from './gradient-tile.ts'
import { workWidth } from './work-table.ts'

/**
 * The final state of a normalizer that cannot resume from lse, f32 [names, B, H, T]: the forward without its values. One
 * program owns tileQ queries of one head and streams the key tiles of its item.
 */
export function rowStateProgram(spec: BackwardProgramSpec): Program {
  const { tileQ, tileK, dtype, alignment, packed, normalizer, scoreMod, maskMod, gradient } = spec
  const width = roundUp(spec.headDim, spec.padTo)
  return defineProgram('flashRowState', (p) => {
    const query = p.input('query', dtype, [null, null, null, spec.headDim], { alignment })
    const key = p.input('key', dtype, [null, null, null, spec.headDim], { alignment })
    const work = p.input('work', 'i32', [null, workWidth])
    const states = p.output('states', 'f32', [gradient.stored.length, null, null, null])
    const scale = p.scalar('scale', 'f32')
    const scaleLog2 = p.scalar('scaleLog2', 'f32')

    const item = p.programId(0).add(p.scalar('firstItem', 'i32'))
    const field = (name: (typeof itemFields)[number]) => load(work, [item, itemFields.indexOf(name)])
    const [batch, qBase, kBase] = [field('batch'), field('qBase'), field('kBase')]
    const [qLength, kLength] = [field('qLength'), field('kLength')]
    const head = field('head').add(p.programId(1))
    const kvHead = head.div(spec.groupSize)
    const row = packed ? 0 : batch
    const q = rowRange(field('qStart'), tileQ) //                                    [tileQ, 1]
    const qRows = q.add(qBase)
    const scaled = scalesToLog2(spec) ? scaleLog2 : scale
    const qTile = scaleQuery(spec, load(query, [row, qRows, head, colRange(0, width)]), scaled) // [tileQ, D]

    const start = normalizer.init(tileQ) as Record<string, Value>
    const final = loop({ from: field('runFrom'), to: field('runTo') }, start, (run, outer) => {
      const [from, to] = [load(work, [run, 0]), load(work, [run, 1])]
      const full = load(work, [run, 2]).ne(0)
      return loop({ to: to.sub(from), step: tileK }, outer, (streamed, carried) => {
        const kStart = from.add(streamed)
        const kTile = load(key, [row, rowRange(kStart, tileK).add(kBase), kvHead, colRange(0, width)]) // [tileK, D]
        const position = { q, k: colRange(kStart, tileK), head, batch, qLength, kLength }
        const product = dot(qTile, kTile.T) //                                       [tileQ, tileK]
        let s = dtype === 'f32' ? product : product.mul(scaled)
        if (scoreMod) s = scoreMod({ score: s, ...position })
        if (scoreMod && normalizer.units === 'log2') s = s.mul(Math.LOG2E)
        const inside = position.k.lt(kLength)
        const allowed = maskMod ? maskMod(position).and(inside) : inside
        s = select(full, s, select(allowed, s, Number.NEGATIVE_INFINITY))
        return normalizer.step(carried as RowState, s).state as Record<string, Value>
      })
    })
    gradient.stored.forEach((name, i) => {
      p.emit(store(states, [i, row, head, qRows], final[name] as Value, { where: q.lt(qLength) }))
    })
  })
}
