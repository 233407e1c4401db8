import { type PageLayout, storedKeyDim } from '../attention/paged/page-pool.ts'
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
} from '../tile/index.ts'
import { pageWriter } from './page-writer.ts'
import { type HeadRope, turnedHead, turnOf } from './turned-head.ts'

/** What a kernel handles of a token: the turned part of its queries, its turned key, its latent. */
export type LatentSide = 'query' | 'key' | 'value'

/** All that specialises the program; numbers of tokens and positions are run-time values. */
export interface LatentProgramSpec {
  readonly sides: readonly LatentSide[]
  readonly layout: PageLayout
  readonly numHeads: number
  readonly tileN: number
  readonly rope: HeadRope | null
  readonly norm: { readonly eps: number; readonly offset: number } | null
  readonly dtypes: { readonly compressed: StorageDType; readonly rotary: StorageDType; readonly query: StorageDType }
  readonly alignment: Readonly<Record<'compressed' | 'rotary' | 'query' | 'pool', number>>
}

/**
 * One program owns tileN tokens and `headsEach` of their H + 2 heads: those of queries, whose last columns it turns and
 * writes, the key that all share, turned, and the latent, normalised, which go where the slots say. Traffic: each element
 * once.
 */
export function latentProgram(spec: LatentProgramSpec): Program {
  const { sides, layout, numHeads: H, tileN, alignment, dtypes } = spec
  const { headDim, valueDim } = layout
  const keyDim = storedKeyDim(layout)
  return defineProgram(`writeLatent ${sides.join(' ')}`, (p) => {
    const rows = rowRange(p.programId(0).mul(tileN), tileN) //                                [tileN, 1]
    const headsEach = p.scalar('headsEach', 'i32')
    const firstHead = p.programId(1).mul(headsEach)
    // heads are numbered among those of the sides that this kernel handles
    let before = 0
    const forHeads = (count: number, write: (head: Value, emit: typeof p.emit) => void) => {
      const range = { from: firstHead.sub(before).max(0), to: firstHead.add(headsEach).sub(before).min(count) }
      const body = (head: Value, _: unknown, emit: typeof p.emit) => {
        write(head, emit)
        return {}
      }
      loop(range, {}, body, p.emit)
      before += count
    }
    const turns = spec.rope && (sides.includes('query') || sides.includes('key'))
    const turn = turns ? turnOf(p, spec.rope, p.input('positions', 'i32', [null]), rows) : null
    if (sides.includes('query')) {
      const rotary = p.input('rotary', dtypes.rotary, [null, H, keyDim], { alignment: alignment.rotary })
      const query = p.output('query', dtypes.query, [null, H, headDim], { alignment: alignment.query })
      forHeads(H, (h, emit) => {
        const { pieces } = turnedHead(keyDim, (columns) => load(rotary, [rows, h, columns]).cast('f32'), turn)
        for (const { columns, value } of pieces) emit(store(query, [rows, h, columns.add(valueDim)], value))
      })
    }
    if (!sides.includes('key') && !sides.includes('value')) return
    const compressed = p.input('compressed', dtypes.compressed, [null, headDim], { alignment: alignment.compressed })
    const read = (columns: Value) => load(compressed, [rows, columns]).cast('f32')
    const target = pageWriter(p, { layout, alignment: alignment.pool }, rows)
    if (sides.includes('key')) {
      const write = target('key')
      forHeads(1, (g, emit) =>
        write(
          g,
          turnedHead(keyDim, (columns) => read(columns.add(valueDim)), turn),
          emit,
        ),
      )
    }
    if (sides.includes('value')) {
      const weight = spec.norm && p.input('norm', 'f32', [valueDim])
      const write = target('value')
      forHeads(1, (g, emit) => {
        const x = read(colRange(0, valueDim))
        const squares = x.mul(x).rowSum()
        const normed = (columns: Value): Value => {
          if (!spec.norm || !weight) return read(columns)
          const factor = squares
            .mul(1 / valueDim)
            .add(spec.norm.eps)
            .rsqrt()
          return read(columns)
            .mul(factor)
            .mul(load(weight, [columns]).add(spec.norm.offset))
        }
        write(g, turnedHead(valueDim, normed, null), emit)
      })
    }
  })
}
