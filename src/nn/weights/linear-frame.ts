import {
  alignmentOf,
  load,
  type ProgramBuilder,
  sizeOf,
  store,
  type TensorParam,
  type TensorSpec,
  type Value,
} from '../../tile/index.ts'
import type { Activation, GatedActivation } from '../activations.ts'
import type { WeightDType } from '../weight-data.ts'
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
  /** x[row, part, k] */
  x(row: Value, part: number, k: Value): Value
  /** stores outputs made of the products x · weight; `second` beside a gate */
  finish(row: Value, column: Value, product: Value, second: Value | null): void
}

/** Declares the parameters of a linear layer's program. */
export function linearFrame(p: ProgramBuilder, spec: LinearSpec): LinearFrame {
  const { parts, planes: formats } = placedFormats[spec.dtype]
  // invocations that read four neighbours at once do so without asking for each where the depth is known to be whole fours
  const depth = spec.x.shape[2] as number
  const known = spec.layout === 'rows' && depth % 4 === 0 ? depth : null
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
  return {
    depth: sizeOf(xParam, 2),
    parts,
    second,
    planes,
    norm,
    x: (row, part, k) => load(xParam, [row, part, k]),
    finish(row, column, product, other) {
      const biased = (y: Value, index: Value) => (bias ? y.add(load(bias, [index])) : y)
      let y = biased(product, column)
      if (spec.activation) y = spec.activation(y)
      if (other) {
        const up = biased(other, column.add(sizeOf(output, 1)))
        y = spec.combine ? spec.combine(y, up) : y.mul(up)
      }
      if (spec.accumulate) y = y.add(load(output, [row, column]))
      p.emit(store(output, [row, column], y))
    },
  }
}
