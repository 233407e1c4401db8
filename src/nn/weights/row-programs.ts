import {
  colRange,
  defineProgram,
  dot,
  load,
  longAxisId,
  loop,
  type Program,
  rowRange,
  type Value,
  zeros,
} from '../../tile/index.ts'
import type { MatmulTiles } from '../matmul-tiles.ts'
import type { LinearTerm } from './expert-rows.ts'
import { type LinearFrame, type LinearSpec, linearFrame } from './linear-frame.ts'
import { weightTile } from './weight-terms.ts'

/** Outputs that a program owns, tokens that it multiplies each weight by, inputs that it takes at a time. */
export interface RowTiles {
  readonly outputs: number
  readonly tokens: number
  readonly inputs: number
}

/**
 * Few rows: a program owns a few outputs; its invocations read their weights side by side, multiply and add in registers,
 * and join their sums at the end. A norm of x is a factor of these sums. Traffic: the weight once, at the pace of memory.
 */
export function fewRowsProgram(spec: LinearSpec, { outputs, tokens, inputs }: RowTiles): Program {
  return defineProgram('linear-few-rows', (p) => {
    const frame = linearFrame(p, spec)
    const own = rowRange(longAxisId(p, 0, 2).mul(outputs), outputs) // [outputs, 1]
    const features = [own, ...(frame.second ? [own.add(frame.second)] : [])]
    const token = p.programId(1).mul(tokens)
    const name = (feature: number, n: number) => `acc${feature}_${n}`
    const start: Record<string, Value> = {}
    for (let n = 0; n < tokens; n++) {
      for (const i of features.keys()) start[name(i, n)] = zeros([outputs, inputs])
      if (frame.norm) start[`squares${n}`] = zeros([1, inputs])
    }
    const sums = frame.sum(start, (term, zero) =>
      loop({ to: term.reach, step: inputs }, zero, (from, carried) => {
        const next: Record<string, Value> = { ...carried }
        const k = colRange(from, inputs) //                                                          [1, inputs]
        for (let part = 0; part < frame.parts; part++) {
          const x = Array.from({ length: tokens }, (_, n) => {
            const given = term.x(token.add(n), part, k).cast('f32')
            if (!frame.norm) return given
            next[`squares${n}`] = (next[`squares${n}`] as Value).add(given.mul(given))
            return frame.norm.weighed(given, part, k)
          })
          for (const [i, feature] of features.entries()) {
            const entry = rowEntry(frame, at(feature, term))
            const weight = weightTile(spec.dtype, entry, part, frame.depth, k, k).cast('f32') //     [outputs, inputs]
            for (let n = 0; n < tokens; n++)
              next[name(i, n)] = (next[name(i, n)] as Value).add(weight.mul(x[n] as Value))
          }
        }
        return next
      }),
    )
    for (let n = 0; n < tokens; n++) {
      const factor = frame.norm?.factor((sums[`squares${n}`] as Value).rowSum())
      const [first, second] = features.map((_, i) => {
        const product = (sums[name(i, n)] as Value).rowSum()
        return factor ? product.mul(factor) : product
      })
      frame.finish(token.add(n), own, first as Value, second ?? null)
    }
  })
}

/** Many rows: tiles of the output by matrix products; where x is f16 the weights meet it as f16, which matrix units take. */
export function manyRowsProgram(spec: LinearSpec, { tileM, tileN, tileK }: MatmulTiles): Program {
  return defineProgram('linear', (p) => {
    const frame = linearFrame(p, spec)
    const rows = frame.rows(tileM)
    const column = p.programId(0).mul(tileN)
    const features = [column, ...(frame.second ? [column.add(frame.second)] : [])]
    const start = Object.fromEntries(features.map((_, i) => [`acc${i}`, zeros([tileM, tileN])]))
    const operand = spec.x.dtype === 'f16' ? 'f16' : 'f32'
    const sums = frame.sum(start, (term, zero) =>
      loop({ to: term.reach, step: tileK }, zero, (from, carried) => {
        const next: Record<string, Value> = { ...carried }
        const k = colRange(from, tileK)
        for (let part = 0; part < frame.parts; part++) {
          const x = term.x(rows, part, k).cast(operand) //                                             [tileM, tileK]
          for (const [i, feature] of features.entries()) {
            const entry = rowEntry(frame, rowRange(at(feature, term), tileN))
            const weight = weightTile(spec.dtype, entry, part, frame.depth, k, k) //                   [tileN, tileK]
            next[`acc${i}`] = (next[`acc${i}`] as Value).add(dot(x, weight.cast(operand).T))
          }
        }
        return next
      }),
    )
    frame.finish(rows, colRange(column, tileN), sums.acc0 as Value, sums.acc1 ?? null)
  })
}

/** Output features of the matrix that a term multiplies by. */
const at = (feature: Value, { first }: LinearTerm) => (first ? feature.add(first) : feature)

const rowEntry = (frame: LinearFrame, feature: Value) => (plane: keyof LinearFrame['planes'], index: Value) =>
  load(frame.planes[plane], [feature, index])
