import {
  colRange,
  defineProgram,
  dot,
  load,
  loop,
  type Program,
  rowRange,
  type Value,
  zeros,
} from '../../tile/index.ts'
import type { LinearTerm } from './expert-rows.ts'
import { type LinearFrame, type LinearSpec, linearFrame } from './linear-frame.ts'
import { panelWidth, scaleRun } from './placed-format.ts'
import { weightTerms, weightTile } from './weight-terms.ts'

/**
 * Few rows: a program owns `tileM` rows of one panel's outputs and reads the panel from end to end, a group of inputs at a
 * time. Quants are multiplied as they are: scales meet the sums. Traffic: the weight, once for every tileM rows.
 */
export function fewRowsPanelProgram(spec: LinearSpec, tileM: number): Program {
  const group = scaleRun(spec.dtype, spec.x.shape[2] as number) || 64
  return defineProgram('linear', (p) => {
    const frame = linearFrame(p, spec)
    const rows = frame.rows(tileM)
    const panel = p.programId(0)
    const panels = [panel, ...(frame.second ? [panel.add(frame.second)] : [])]
    const names = panels.map((_, i) => `acc${i}`)
    const start = Object.fromEntries(names.map((name) => [name, zeros([tileM, panelWidth])]))
    const sums = frame.sum(start, (term, zero) =>
      loop({ to: term.reach, step: group }, zero, (k, carried) => {
        const next: Record<string, Value> = { ...carried }
        for (let part = 0; part < frame.parts; part++) {
          const x = term.x(rows, part, colRange(k, group)).cast('f32') //                           [tileM, group]
          for (const [i, name] of names.entries()) {
            const entry = panelEntry(frame, at(panels[i] as Value, term))
            const { quants, scale, offset } = weightTerms(spec.dtype, entry, part, frame.depth, rowRange(k, group), k)
            const product = dot(x, quants.cast('f32')) //                                           [tileM, 32]
            let sum = (next[name] as Value).add(scale ? product.mul(scale) : product)
            if (offset) sum = sum.sub(x.rowSum().mul(offset))
            next[name] = sum
          }
        }
        return next
      }),
    )
    const [first, second] = names.map((name) => sums[name] as Value)
    frame.finish(rows, colRange(panel.mul(panelWidth), panelWidth), first as Value, second ?? null)
  })
}

/** Tiles of many rows: a program owns tileM rows of the outputs of `panels` panels and takes tileK inputs at a time. */
export interface PanelTiles {
  readonly tileM: number
  readonly tileK: number
  readonly panels: number
}

/** Many rows: a tile of weights is dequantised once for tileM rows. Traffic: the weight N / tileM times, x once per `panels` panels. */
export function manyRowsPanelProgram(spec: LinearSpec, { tileM, tileK, panels }: PanelTiles): Program {
  return defineProgram('linear', (p) => {
    const frame = linearFrame(p, spec)
    const rows = frame.rows(tileM)
    const first = p.programId(0).mul(panels)
    const own = Array.from({ length: panels }, (_, i) => first.add(i))
    const all = [...own, ...own.flatMap((panel) => (frame.second ? [panel.add(frame.second)] : []))]
    const start = Object.fromEntries(all.map((_, i) => [`acc${i}`, zeros([tileM, panelWidth])]))
    const sums = frame.sum(start, (term, zero) =>
      loop({ to: term.reach, step: tileK }, zero, (k, carried) => {
        const next: Record<string, Value> = { ...carried }
        for (let part = 0; part < frame.parts; part++) {
          const x = term.x(rows, part, colRange(k, tileK)).cast('f32') //                           [tileM, tileK]
          const inputs = rowRange(k, tileK)
          for (const [i, panel] of all.entries()) {
            const entry = panelEntry(frame, at(panel, term))
            const weight = weightTile(spec.dtype, entry, part, frame.depth, inputs, inputs) //      [tileK, 32]
            next[`acc${i}`] = (next[`acc${i}`] as Value).add(dot(x, weight.cast('f32')))
          }
        }
        return next
      }),
    )
    for (const [i, panel] of own.entries()) {
      const other = frame.second ? (sums[`acc${i + panels}`] as Value) : null
      frame.finish(rows, colRange(panel.mul(panelWidth), panelWidth), sums[`acc${i}`] as Value, other)
    }
  })
}

/** A panel of the matrix that a term multiplies by. */
const at = (panel: Value, { first }: LinearTerm) => (first ? panel.add(first) : panel)

const panelEntry = (frame: LinearFrame, panel: Value) => (plane: keyof LinearFrame['planes'], index: Value) =>
  load(frame.planes[plane], [panel, index, colRange(0, panelWidth)])
