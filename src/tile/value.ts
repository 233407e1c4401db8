import * as ir from '../ir/build.ts'
import { checkFields, type FieldsOf } from '../ir/check-fields.ts'
import type { DType } from '../ir/dtype.ts'
import { isFloat, isInteger } from '../ir/dtype.ts'
import { FoveaError } from '../ir/error.ts'
import type { BinaryFn, Node, UnaryFn } from '../ir/node.ts'

/** What is accepted wherever a value is: a symbolic value, or a number. */
export type Operand = Value | number

/** integer operations that ignore how an operand's bits are signed */
const wrapping: ReadonlySet<BinaryFn> = new Set<BinaryFn>(['add', 'sub', 'mul', 'and', 'or', 'xor'])

/**
 * A symbolic value of a tile program: a matrix [rows, cols] of compile-time size. A scalar is [1, 1], a row vector [r, 1],
 * a column vector [1, c]. Element-wise operations broadcast sizes of 1, widen f16 and bf16 to f32, and turn integers beside
 * floats into floats; a plain number takes the dtype of its partner (an integer partner meets a fraction, or a number that
 * it cannot hold, as f32; but sums, products and bitwise operations wrap numbers of up to 32 bits). An operand that is neither throws `argument`.
 */
export class Value {
  readonly node: Node

  constructor(node: Node) {
    this.node = node
  }

  get dtype(): DType {
    return this.node.dtype
  }
  get rows(): number {
    return this.node.rows
  }
  get cols(): number {
    return this.node.cols
  }

  #with(fn: BinaryFn, other: Operand): Value {
    return new Value(ir.binary(fn, this.node, toNode(other, this.node.dtype, wrapping.has(fn))))
  }
  #apply(fn: UnaryFn): Value {
    return new Value(ir.unary(fn, this.node))
  }

  add(other: Operand): Value {
    return this.#with('add', other)
  }
  sub(other: Operand): Value {
    return this.#with('sub', other)
  }
  mul(other: Operand): Value {
    return this.#with('mul', other)
  }
  /** quotient; of two integers truncated towards zero, 0 for a zero divisor */
  div(other: Operand): Value {
    return this.#with('div', other)
  }
  /** remainder with the dividend's sign; of integers 0 for a zero divisor */
  mod(other: Operand): Value {
    return this.#with('mod', other)
  }
  min(other: Operand): Value {
    return this.#with('min', other)
  }
  max(other: Operand): Value {
    return this.#with('max', other)
  }
  pow(other: Operand): Value {
    return this.#with('pow', other)
  }
  /** logical on bools, bitwise on integers */
  and(other: Operand): Value {
    return this.#with('and', other)
  }
  or(other: Operand): Value {
    return this.#with('or', other)
  }
  xor(other: Operand): Value {
    return this.#with('xor', other)
  }
  shl(other: Operand): Value {
    return this.#with('shl', other)
  }
  shr(other: Operand): Value {
    return this.#with('shr', other)
  }
  eq(other: Operand): Value {
    return this.#with('eq', other)
  }
  ne(other: Operand): Value {
    return this.#with('ne', other)
  }
  lt(other: Operand): Value {
    return this.#with('lt', other)
  }
  le(other: Operand): Value {
    return this.#with('le', other)
  }
  gt(other: Operand): Value {
    return this.#with('gt', other)
  }
  ge(other: Operand): Value {
    return this.#with('ge', other)
  }

  neg(): Value {
    return this.#apply('neg')
  }
  abs(): Value {
    return this.#apply('abs')
  }
  not(): Value {
    return this.#apply('not')
  }
  exp(): Value {
    return this.#apply('exp')
  }
  exp2(): Value {
    return this.#apply('exp2')
  }
  log(): Value {
    return this.#apply('log')
  }
  log2(): Value {
    return this.#apply('log2')
  }
  sqrt(): Value {
    return this.#apply('sqrt')
  }
  rsqrt(): Value {
    return this.#apply('rsqrt')
  }
  reciprocal(): Value {
    return this.#apply('reciprocal')
  }
  sin(): Value {
    return this.#apply('sin')
  }
  cos(): Value {
    return this.#apply('cos')
  }
  tanh(): Value {
    return this.#apply('tanh')
  }
  sigmoid(): Value {
    return this.#apply('sigmoid')
  }
  erf(): Value {
    return this.#apply('erf')
  }
  floor(): Value {
    return this.#apply('floor')
  }
  ceil(): Value {
    return this.#apply('ceil')
  }
  /** to the nearest integer, halves to even */
  round(): Value {
    return this.#apply('round')
  }
  sign(): Value {
    return this.#apply('sign')
  }

  /** the f32 that has the bits of this i32 */
  fromBits(): Value {
    return this.#apply('fromBits')
  }

  /** conversion; float → integer truncates and saturates, f16 and bf16 round to nearest even */
  cast(dtype: DType): Value {
    return new Value(ir.cast(this.node, dtype))
  }
  /** table[this] for an i32 of 0 … 15: 16 integers of −128 … 127 */
  lookup(table: readonly number[]): Value {
    return new Value(ir.lookup(this.node, table))
  }
  /** where this (bool) holds `a`, else `b`; a scalar condition is branched on once and skips the other side's work */
  select(a: Operand, b: Operand): Value {
    const partner = a instanceof Value ? a.dtype : b instanceof Value ? b.dtype : 'f32'
    return new Value(ir.select(this.node, toNode(a, partner), toNode(b, partner)))
  }
  /** repeated along axes of size 1 */
  broadcastTo(rows: number, cols: number): Value {
    return new Value(ir.broadcast(this.node, rows, cols))
  }
  /** the transpose; free as an operand of `dot` */
  get T(): Value {
    return new Value(ir.transpose(this.node))
  }

  /** [r, 1]: sum of each row */
  rowSum(): Value {
    return new Value(ir.reduce('sum', 'cols', this.node))
  }
  rowMax(): Value {
    return new Value(ir.reduce('max', 'cols', this.node))
  }
  rowMin(): Value {
    return new Value(ir.reduce('min', 'cols', this.node))
  }
  /** [1, c]: sum of each column */
  colSum(): Value {
    return new Value(ir.reduce('sum', 'rows', this.node))
  }
  colMax(): Value {
    return new Value(ir.reduce('max', 'rows', this.node))
  }
  colMin(): Value {
    return new Value(ir.reduce('min', 'rows', this.node))
  }
  /** running sum down the rows, inclusive */
  cumsumRows(options: { reverse?: boolean } = {}): Value {
    checkFields('cumsumRows', 'options', options, scanFields)
    return new Value(ir.scan('rows', this.node, options.reverse ?? false))
  }
  /** running sum along the columns, inclusive */
  cumsumCols(options: { reverse?: boolean } = {}): Value {
    checkFields('cumsumCols', 'options', options, scanFields)
    return new Value(ir.scan('cols', this.node, options.reverse ?? false))
  }
}

const scanFields: FieldsOf<NonNullable<Parameters<Value['cumsumRows']>[0]>> = { reverse: true }

/**
 * The node of an operand; a number becomes a constant of its partner's dtype where that is exact, else f32; `wraps` also takes
 * integers that only fit when their bits are signed differently. Throws `argument` for what is neither value nor number.
 */
export function toNode(operand: Operand | boolean, partner: DType = 'f32', wraps = false): Node {
  if (operand instanceof Value) return operand.node
  if (typeof operand === 'boolean') return ir.constant(operand ? 1 : 0, 'bool')
  if (typeof operand !== 'number')
    throw new FoveaError('argument', 'value', `an operand is a value or a number, got ${describeOperand(operand)}`)
  if (isInteger(partner) && (holds(partner, operand) || (wraps && (holds('i32', operand) || holds('u32', operand)))))
    return ir.constant(partner === 'u32' ? operand >>> 0 : operand | 0, partner)
  if (partner === 'bool') return ir.constant(operand, holds('i32', operand) ? 'i32' : 'f32')
  return ir.constant(isFloat(partner) ? Math.fround(operand) : operand, 'f32')
}

function holds(dtype: DType, number: number): boolean {
  const [low, high] = dtype === 'u32' ? [0, 2 ** 32 - 1] : [-(2 ** 31), 2 ** 31 - 1]
  return Number.isInteger(number) && number >= low && number <= high
}

function describeOperand(operand: unknown): string {
  if (operand === null || typeof operand !== 'object') return operand === null ? 'null' : typeof operand
  return 'at' in operand ? 'a tensor or array (a tensor is read by at)' : 'an object'
}
