import {
  defineProgram,
  load,
  loop,
  type Program,
  type ProgramBuilder,
  rowRange,
  store,
  type TensorParam,
  type Value,
} from '../tile/index.ts'
import { type Head, pageWriter } from './page-writer.ts'
import { type Turn, turnedHead, turnOf } from './turned-head.ts'
import { elements, type Norm, normOf, valueNormOf } from './write-norms.ts'
import { projectedWidth, type WriteProgramSpec } from './write-pages-spec.ts'

/**
 * One program owns tileN tokens and `headsEach` of the H + 2G heads of their rows: normalises and turns queries and keys,
 * writes queries to `query`, keys and values to the places that their slots name. Traffic: each element once.
 */
export function writePagesProgram(spec: WriteProgramSpec): Program {
  const { sides, layout, numHeads: H, numKvHeads: G, tileN, alignment, projected } = spec
  const { headDim: D, valueDim } = layout
  return defineProgram(`writePages ${sides.join(' ')}`, (p) => {
    const width = projectedWidth(projected, { numHeads: H, numKvHeads: G, headDim: D, valueDim })
    const qkv = p.input('qkv', spec.qkvDType, [null, width], { alignment: alignment.qkv })
    const rows = rowRange(p.programId(0).mul(tileN), tileN) //                                [tileN, 1]
    const headsEach = p.scalar('headsEach', 'i32')
    const firstHead = p.programId(1).mul(headsEach)
    const within = (from: number, count: number) => ({
      from: firstHead.sub(from).max(0),
      to: firstHead.add(headsEach).sub(from).min(count),
    })
    const positions = positionsOf(p, spec)
    const turns = spec.rope && positions && (sides.includes('query') || sides.includes('key'))
    const turn = turns ? turnOf(p, spec.rope, positions, rows) : null
    const [head, valueHead] = [headReader(spec, qkv, rows, D), headReader(spec, qkv, rows, valueDim)]
    // heads are numbered among those of the sides that this kernel handles
    let before = 0
    if (sides.includes('query')) {
      const query = p.output('query', spec.queryDType, [null, H, D], { alignment: alignment.query })
      const norm = normOf(p, spec, 'query', qkv, rows)
      const warmth = positions && temperatureOf(spec, load(positions, [rows]))
      loop(
        within(before, H),
        {},
        (h, _, emit) => {
          for (const { columns, value } of head(h, h.mul(D), norm, turn).pieces)
            emit(store(query, [rows, h, columns], warmth ? value.mul(warmth) : value))
          return {}
        },
        p.emit,
      )
      before += H
    }
    if (!sides.includes('key') && !sides.includes('value')) return
    const target = pageWriter(p, { layout, alignment: alignment.pool }, rows)
    if (sides.includes('key')) {
      const norm = normOf(p, spec, 'key', qkv, rows)
      const write = target('key')
      loop(
        within(before, G),
        {},
        (g, _, emit) => {
          write(g, head(g, g.add(H).mul(D), norm, turn), emit)
          return {}
        },
        p.emit,
      )
      before += G
    }
    if (sides.includes('value')) {
      const norm = valueNormOf(spec, qkv, rows)
      const firstValue = (projected === 'queriesAndKeys' ? H : H + G) * D
      const write = target('value')
      loop(
        within(before, G),
        {},
        (g, _, emit) => {
          write(g, valueHead(g, g.mul(valueDim).add(firstValue), norm, null), emit)
          return {}
        },
        p.emit,
      )
    }
  })
}

/** The positions of all tokens, where anything asks for them. */
function positionsOf(p: ProgramBuilder, { rope, sides, changes }: WriteProgramSpec): TensorParam | null {
  const turns = rope && (sides.includes('query') || sides.includes('key'))
  const warms = changes.temperature && sides.includes('query')
  return turns || warms ? p.input('positions', 'i32', [null]) : null
}

/** What queries at these positions are multiplied by. */
function temperatureOf({ changes: { temperature } }: WriteProgramSpec, positions: Value): Value | null {
  if (!temperature) return null
  const { strength, period, offset } = temperature
  const periods = positions.add(offset).div(period).cast('f32')
  return periods.add(1).log().mul(strength).add(1)
}

/** Reads a head of width D of the tile's tokens, from column `base` of their rows, normalised and turned. */
function headReader(spec: WriteProgramSpec, qkv: TensorParam, rows: Value, D: number) {
  return (head: Value, base: Value, norm: Norm | null, turn: Turn | null): Head => {
    const scaled = norm?.over(base)
    const normed = (columns: Value, x: Value, afterRope: boolean): Value => {
      if (!norm || !scaled || norm.afterRope !== afterRope) return x
      const y = scaled(x)
      return norm.weight ? y.mul(norm.weight(head, columns)) : y
    }
    const read = (columns: Value) => normed(columns, elements(spec, qkv, rows, columns.add(base)), false)
    return turnedHead(D, read, turn, (columns, x) => normed(columns, x, true))
  }
}
