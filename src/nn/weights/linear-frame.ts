import {
  alignmentOf,
  load,
  type ProgramBuilder,
  rowRange,
  sizeOf,
  store,
  type TensorParam,
  type TensorSpec,
  type Value,
} from '../../tile/index.ts'
import type { Activation, GatedActivation } from '../activations.ts'
import type { WeightDType } from '../weight-data.ts'
import { type ExpertRows, expertsInProgram, type LinearTerm } from './expert-rows.ts'
import { type NormInProgram, normInProgram } from './fused-norm.ts'
import { type PlaneName, placedFormats, type WeightLayout } from './placed-format.ts'

/** What a program of a linear layer is made for; sizes and strides are run-time values. */
export interface LinearSpec {
  readonly dtype: WeightDType
  readonly layout: WeightLayout
  /** x as [N, parts, inputs of a part], see PlacedFormat */
  readonly x: TensorSpec
  readonly planes: Readonly<Partial<Record<PlaneName, TensorSpec>>>
  /** the weight of a norm of x as [parts, inputs of a part]; few rows only */
  readonly norm: TensorSpec | null
  readonly bias: TensorSpec | null // [M], gated: [2 M]
  readonly output: TensorSpec // [N, M]
  readonly activation: Activation | null
  /** of gated: output = combine(first half, second half) */
  readonly combine: GatedActivation | null
  /** output = activation(first half) · second half of the weight's outputs */
  readonly gated: boolean
  readonly accumulate: boolean
  /** the weight is many matrices, of which each row meets its own; null: it is one */
  readonly experts: ExpertRows | null
}

/** The parameters of such a program, and what every way of multiplying does with them. */
export interface LinearFrame {
  /** inputs of a part */
  readonly depth: Value
  readonly parts: number
  /** gated: panels (or rows) from an output's gate to its up; else null */
  readonly second: Value | null
  readonly planes: Readonly<Record<PlaneName, TensorParam>>
  readonly norm: NormInProgram | null
  /** the output's rows of this program [tileM, 1] */
  rows(tileM: number): Value
  /** the sum over all terms of what `product` adds to `start`, which is 0 */
  sum(start: Carried, product: (term: LinearTerm, start: Carried) => Carried): Carried
  /** stores outputs made of the products x · weight; `second` beside a gate */
  finish(row: Value, column: Value, product: Value, second: Value | null): void
}

type Carried = Readonly<Record<string, Value>>

/** Declares the parameters of a linear layer's program. */
export function linearFrame(p: ProgramBuilder, spec: LinearSpec): LinearFrame {
  const { parts, planes: formats } = placedFormats[spec.dtype]
  // invocations that read four neighbours at once do so without asking for each where the depth is known to be whole fours
  const width = spec.x.shape[2] as number
  const known = spec.layout === 'rows' && width % 4 === 0 ? width : null
  const xParam = p.input('x', spec.x.dtype, [null, parts, known], { alignment: alignmentOf(spec.x) })
  const planes = Object.fromEntries(
    formats.map(({ name, dtype }) => {
      const plane = spec.planes[name] as TensorSpec
      const sizes = plane.shape.map((size, dim) =>
        (spec.layout === 'panels' ? dim === 2 : dim === 1 && known !== null) ? size : null,
      )
      return [name, p.input(name, dtype, sizes, { alignment: alignmentOf(plane) })]
    }),
  ) as Record<PlaneName, TensorParam>
  const norm = spec.norm && normInProgram(p, spec.norm, sizeOf(xParam, 2), known)
  const bias = spec.bias && p.input('bias', spec.bias.dtype, [null])
  const declare = spec.accumulate ? p.update : p.output
  const output = declare('output', spec.output.dtype, [null, null], { alignment: alignmentOf(spec.output) })
  const second = spec.gated ? p.scalar('second', 'i32') : null
  const depth = sizeOf(xParam, 2)
  const x = (row: Value, part: number, k: Value) => load(xParam, [row, part, k])
  const experts = spec.experts && expertsInProgram(p, spec.experts, depth, x)
  return {
    depth,
    parts,
    second,
    planes,
    norm,
    rows: (tileM) => (experts ? experts.rows(tileM) : rowRange(p.programId(1).mul(tileM), tileM)),
    sum: (start, product) => (experts ? experts.sum(start, product) : product({ first: null, reach: depth, x }, start)),
    finish(row, column, product, other) {
      const biased = (y: Value, index: Value) => {
        if (!bias) return y
        return y.add(experts ? experts.bias(bias, index) : load(bias, [index]))
      }
      let y = biased(product, column)
      if (spec.activation) y = spec.activation(y)
      if (other) {
        const up = biased(other, column.add(sizeOf(output, 1)))
        y = spec.combine ? spec.combine(y, up) : y.mul(up)
      }
      if (spec.accumulate) y = y.add(load(output, [row, column]))
      const where = experts?.where(row)
      p.emit(store(output, [row, column], y, where ? { where } : {}))
    },
  }
}
