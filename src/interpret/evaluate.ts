import type { DType } from '../ir/dtype.ts'
import { roundTo } from '../ir/narrow-float.ts'
import type { LoopNode, Node, Op, TensorParam } from '../ir/node.ts'
import { binaryMath, convert, unaryMath } from '../ir/scalar-math.ts'
import { eachElement, elementAt, type Operand, type TensorBinding } from './tensor-binding.ts'

/** `float64`: no rounding of floats at all; `real`: every result is rounded to its dtype. */
export type Precision = 'float64' | 'real'

/** What one run of a program knows while it is at a statement. */
export interface Frame {
  readonly position: readonly [x: number, y: number, z: number]
  readonly precision: Precision
  readonly scalars: Readonly<Record<string, number>>
  tensor(param: TensorParam): TensorBinding
  /** the values of statements so far and of loop variables */
  readonly values: Map<Node, Float64Array>
  /** what the loops done so far carried last */
  readonly results: Map<LoopNode, readonly Float64Array[]>
}

/** The values of a node, row by row: as a statement left them, or computed in place for a leaf. */
export function valuesOf(node: Node, frame: Frame): Float64Array {
  return frame.values.get(node) ?? evaluate(node, frame)
}

/** Computes one node from the values of its operands. */
export function evaluate(node: Node, frame: Frame): Float64Array {
  if (node.op === 'loop' || node.op === 'store') throw new TypeError(`evaluate: ${node.op} is a statement, not a value`)
  return table[node.op](node as never, frame)
}

/** Rounds to what the dtype of a value can hold; integers wrap. */
function rounding(dtype: DType, precision: Precision): (x: number) => number {
  if (dtype === 'i32') return (x) => x | 0
  if (dtype === 'u32') return (x) => x >>> 0
  if (dtype === 'bool' || precision === 'float64') return (x) => x
  return dtype === 'f32' ? Math.fround : (x) => roundTo(dtype, x)
}

/** Each value of a node from its row and column, rounded. */
function fill(node: Node, frame: Frame, at: (r: number, c: number) => number): Float64Array {
  const round = rounding(node.dtype, frame.precision)
  const result = new Float64Array(node.rows * node.cols)
  for (let r = 0; r < node.rows; r++) for (let c = 0; c < node.cols; c++) result[r * node.cols + c] = round(at(r, c))
  return result
}

const operand = (node: Node, frame: Frame): Operand => ({ node, values: valuesOf(node, frame) })

type ValueOp = Exclude<Op, 'loop' | 'store'>

const table: { readonly [K in ValueOp]: (node: Extract<Node, { op: K }>, frame: Frame) => Float64Array } = {
  const: (node, frame) => fill(node, frame, () => node.value),
  programId: (node, frame) => fill(node, frame, () => frame.position[node.axis]),
  scalar: (node, frame) => fill(node, frame, () => frame.scalars[node.param.name] as number),
  size: (node, frame) => fill(node, frame, () => frame.tensor(node.tensor).spec.shape[node.dim] as number),
  iota: (node, frame) => fill(node, frame, (r, c) => (node.axis === 'rows' ? r : c)),
  arg: (node) => {
    throw new TypeError(`evaluate: loop variable ${node.name} has no value here`)
  },
  result: (node, frame) => frame.results.get(node.loop)?.[node.at] as Float64Array,
  unary: (node, frame) => {
    const x = operand(node.x, frame)
    const bitwise = node.fn === 'not' && node.dtype !== 'bool'
    const fn = bitwise ? (v: number) => ~v : unaryMath[node.fn]
    return fill(node, frame, (r, c) => fn(elementAt(x, r, c)))
  },
  binary: (node, frame) => {
    const [a, b] = [operand(node.a, frame), operand(node.b, frame)]
    const fn = binaryMath(node.fn, node.a.dtype)
    return fill(node, frame, (r, c) => fn(elementAt(a, r, c), elementAt(b, r, c)))
  },
  select: (node, frame) => {
    const [cond, a, b] = [operand(node.cond, frame), operand(node.a, frame), operand(node.b, frame)]
    return fill(node, frame, (r, c) => elementAt(elementAt(cond, r, c) ? a : b, r, c))
  },
  cast: (node, frame) => {
    const x = operand(node.x, frame)
    // between integers the bits stay; from floats, truncated and saturated
    const reinterpreted = node.x.dtype === 'i32' || node.x.dtype === 'u32'
    const keeps = reinterpreted && node.dtype !== 'bool'
    return fill(node, frame, (r, c) => (keeps ? elementAt(x, r, c) : convert(elementAt(x, r, c), node.dtype)))
  },
  lookup: (node, frame) => {
    const x = operand(node.x, frame)
    return fill(node, frame, (r, c) => node.table[elementAt(x, r, c) & 15] as number)
  },
  broadcast: (node, frame) => {
    const x = operand(node.x, frame)
    return fill(node, frame, (r, c) => elementAt(x, r, c))
  },
  transpose: (node, frame) => {
    const x = operand(node.x, frame)
    return fill(node, frame, (r, c) => elementAt(x, c, r))
  },
  load: (node, frame) => {
    const { spec, get } = frame.tensor(node.tensor)
    const result = new Float64Array(node.rows * node.cols)
    const indices = node.indices.map((index) => operand(index, frame))
    const where = node.where && operand(node.where, frame)
    eachElement(node, node.tensor, spec, indices, where, (r, c, at) => {
      result[r * node.cols + c] = at < 0 ? 0 : get(at)
    })
    return result
  },
  dot: (node, frame) => {
    const [a, b] = [valuesOf(node.a, frame), valuesOf(node.b, frame)]
    const inner = node.transposeA ? node.a.rows : node.a.cols
    const [aRow, aInner] = node.transposeA ? [1, node.a.cols] : [node.a.cols, 1]
    const [bInner, bCol] = node.transposeB ? [1, node.b.cols] : [node.b.cols, 1]
    const round = rounding('f32', frame.precision)
    return fill(node, frame, (r, c) => {
      let sum = 0
      for (let k = 0; k < inner; k++)
        sum = round(sum + (a[r * aRow + k * aInner] as number) * (b[k * bInner + c * bCol] as number))
      return sum
    })
  },
  reduce: (node, frame) => {
    const x = operand(node.x, frame)
    const along = node.axis === 'rows' ? node.x.rows : node.x.cols
    const combine = binaryMath(node.fn === 'sum' ? 'add' : node.fn, node.dtype)
    const round = rounding(node.dtype, frame.precision)
    const at = (r: number, c: number, i: number) => (node.axis === 'rows' ? elementAt(x, i, c) : elementAt(x, r, i))
    return fill(node, frame, (r, c) => {
      let sum = at(r, c, 0)
      for (let i = 1; i < along; i++) sum = round(combine(sum, at(r, c, i)))
      return sum
    })
  },
  scan: (node, frame) => {
    const x = operand(node.x, frame)
    const round = rounding(node.dtype, frame.precision)
    const result = new Float64Array(node.rows * node.cols)
    const down = node.axis === 'rows'
    const [lines, length] = down ? [node.cols, node.rows] : [node.rows, node.cols]
    for (let line = 0; line < lines; line++) {
      let sum = 0
      for (let step = 0; step < length; step++) {
        const i = node.reverse ? length - 1 - step : step
        const [r, c] = down ? [i, line] : [line, i]
        sum = round(sum + elementAt(x, r, c))
        result[r * node.cols + c] = sum
      }
    }
    return result
  },
}
