import { type DType, isFloat, isInteger, loadedDType, promote } from './dtype.ts'
import { FoveaError } from './error.ts'
import {
  type ArgNode,
  type Axis,
  type BinaryFn,
  compareFns,
  type EffectNode,
  type LoadNode,
  type LoopNode,
  type Node,
  type ReduceFn,
  type ScalarParam,
  type StoreNode,
  type TensorParam,
  type Typed,
  type UnaryFn,
} from './node.ts'

/** "f32 [64, 128]", for messages and the printer. */
export function describeType(t: Typed): string {
  return t.rows === 1 && t.cols === 1 ? t.dtype : `${t.dtype} [${t.rows}, ${t.cols}]`
}

/** A constant: dtype f32 unless named. */
export function constant(value: number, dtype: DType = 'f32', rows = 1, cols = 1): Node {
  return { op: 'const', value, dtype, rows, cols }
}

export function programId(axis: 0 | 1 | 2): Node {
  return { op: 'programId', axis, dtype: 'i32', rows: 1, cols: 1 }
}

export function scalarValue(param: ScalarParam): Node {
  return { op: 'scalar', param, dtype: param.dtype, rows: 1, cols: 1 }
}

/** The size of a dimension: a constant where the program is specialised to it. */
export function sizeOf(tensor: TensorParam, dim: number): Node {
  const known = tensor.sizes[dim]
  if (known === undefined)
    throw new FoveaError(
      'argument',
      'size',
      `${tensor.name} has ${tensor.sizes.length} dimensions, no dimension ${dim}`,
    )
  return known === null ? { op: 'size', tensor, dim, dtype: 'i32', rows: 1, cols: 1 } : constant(known, 'i32')
}

export function iota(n: number, axis: Axis): Node {
  return { op: 'iota', axis, dtype: 'i32', rows: axis === 'rows' ? n : 1, cols: axis === 'cols' ? n : 1 }
}

export function unary(fn: UnaryFn, x: Node): Node {
  if (fn === 'not') {
    if (isFloat(x.dtype)) throw new FoveaError('dtype', fn, `takes bool or integers, got ${describeType(x)}`)
    return { op: 'unary', fn, x, dtype: x.dtype, rows: x.rows, cols: x.cols }
  }
  if (x.dtype === 'bool') throw new FoveaError('dtype', fn, `takes a number, got ${describeType(x)}`)
  if (fn === 'fromBits') {
    if (x.dtype !== 'i32') throw new FoveaError('dtype', fn, `takes i32, got ${describeType(x)}`)
    return { op: 'unary', fn, x, dtype: 'f32', rows: x.rows, cols: x.cols }
  }
  const keepsInteger = (fn === 'neg' || fn === 'abs' || fn === 'sign') && isInteger(x.dtype)
  const wide = keepsInteger ? x : cast(x, 'f32')
  return { op: 'unary', fn, x: wide, dtype: wide.dtype, rows: x.rows, cols: x.cols }
}

/** Broadcast size of one axis, or an error that names the operation. */
function broadcastSize(where: string, a: Typed, b: Typed, axis: Axis): number {
  const [m, n] = [a[axis], b[axis]]
  if (m === n || n === 1) return m
  if (m === 1) return n
  throw new FoveaError('shape', where, `shapes do not broadcast: ${describeType(a)} and ${describeType(b)}`)
}

export function binary(fn: BinaryFn, a: Node, b: Node): Node {
  const rows = broadcastSize(fn, a, b, 'rows')
  const cols = broadcastSize(fn, a, b, 'cols')
  const comparison = (compareFns as readonly string[]).includes(fn)
  if (fn === 'and' || fn === 'or' || fn === 'xor') {
    if (a.dtype !== b.dtype || isFloat(a.dtype))
      throw new FoveaError(
        'dtype',
        fn,
        `takes two bools or two integers, got ${describeType(a)} and ${describeType(b)}`,
      )
    return { op: 'binary', fn, a, b, dtype: a.dtype, rows, cols }
  }
  if (a.dtype === 'bool' && b.dtype === 'bool' && (fn === 'eq' || fn === 'ne'))
    return { op: 'binary', fn, a, b, dtype: 'bool', rows, cols }
  if (a.dtype === 'bool' || b.dtype === 'bool')
    throw new FoveaError('dtype', fn, `takes numbers, got ${describeType(a)} and ${describeType(b)}`)
  const dtype = fn === 'pow' ? 'f32' : promote(a.dtype, b.dtype)
  if ((fn === 'shl' || fn === 'shr') && !isInteger(dtype))
    throw new FoveaError('dtype', fn, `takes integers, got ${describeType(a)} and ${describeType(b)}`)
  return { op: 'binary', fn, a: cast(a, dtype), b: cast(b, dtype), dtype: comparison ? 'bool' : dtype, rows, cols }
}

export function select(cond: Node, a: Node, b: Node): Node {
  if (cond.dtype !== 'bool')
    throw new FoveaError('dtype', 'select', `the condition must be bool, got ${describeType(cond)}`)
  if ((a.dtype === 'bool') !== (b.dtype === 'bool'))
    throw new FoveaError('dtype', 'select', `branches differ: ${describeType(a)} and ${describeType(b)}`)
  const dtype = a.dtype === b.dtype ? a.dtype : promote(a.dtype, b.dtype)
  const both = { dtype, rows: broadcastSize('select', a, b, 'rows'), cols: broadcastSize('select', a, b, 'cols') }
  const rows = broadcastSize('select', cond, both, 'rows')
  const cols = broadcastSize('select', cond, both, 'cols')
  return { op: 'select', cond, a: cast(a, dtype), b: cast(b, dtype), dtype, rows, cols }
}

/** Conversion of dtype; nothing when it already has it; folded for constants that stay exact. */
export function cast(x: Node, dtype: DType): Node {
  if (x.dtype === dtype) return x
  if (x.op === 'const' && (dtype === 'f32' || (isInteger(dtype) && Number.isInteger(x.value)))) return { ...x, dtype }
  return { op: 'cast', x, dtype, rows: x.rows, cols: x.cols }
}

/** table[x]; see LookupNode. */
export function lookup(x: Node, table: readonly number[]): Node {
  const fits = table.length === 16 && table.every((entry) => Number.isInteger(entry) && entry >= -128 && entry <= 127)
  if (!fits)
    throw new FoveaError('argument', 'lookup', `a table is 16 integers of -128 to 127, got [${table.join(', ')}]`)
  if (x.dtype !== 'i32') throw new FoveaError('dtype', 'lookup', `takes i32, got ${describeType(x)}`)
  return { op: 'lookup', x, table, dtype: 'i32', rows: x.rows, cols: x.cols }
}

export function broadcast(x: Node, rows: number, cols: number): Node {
  if (x.rows === rows && x.cols === cols) return x
  if ((x.rows !== rows && x.rows !== 1) || (x.cols !== cols && x.cols !== 1))
    throw new FoveaError('shape', 'broadcast', `${describeType(x)} does not broadcast to [${rows}, ${cols}]`)
  return x.op === 'const' ? { ...x, rows, cols } : { op: 'broadcast', x, dtype: x.dtype, rows, cols }
}

export function transpose(x: Node): Node {
  if (x.op === 'transpose') return x.x
  return { op: 'transpose', x, dtype: x.dtype, rows: x.cols, cols: x.rows }
}

/** Shared checks of load and store: index count and dtypes; returns the broadcast shape. */
function accessShape(
  where: string,
  tensor: TensorParam,
  indices: readonly Node[],
  rest: readonly Typed[],
): { rows: number; cols: number } {
  if (indices.length !== tensor.sizes.length)
    throw new FoveaError(
      'shape',
      where,
      `${tensor.name} has ${tensor.sizes.length} dimensions, got ${indices.length} indices`,
    )
  for (const i of indices)
    if (!isInteger(i.dtype))
      throw new FoveaError('dtype', where, `indices of ${tensor.name} must be integers, got ${describeType(i)}`)
  let shape: Typed = { dtype: 'i32', rows: 1, cols: 1 }
  for (const t of [...indices, ...rest])
    shape = { dtype: 'i32', rows: broadcastSize(where, shape, t, 'rows'), cols: broadcastSize(where, shape, t, 'cols') }
  return shape
}

export function load(tensor: TensorParam, indices: readonly Node[], where: Node | null = null): LoadNode {
  const { rows, cols } = accessShape('load', tensor, indices, where ? [where] : [])
  return {
    op: 'load',
    tensor,
    indices: indices.map((i) => cast(i, 'i32')),
    where,
    dtype: loadedDType(tensor.dtype),
    rows,
    cols,
  }
}

export function store(
  tensor: TensorParam,
  indices: readonly Node[],
  value: Node,
  where: Node | null = null,
): StoreNode {
  if (tensor.access === 'read') throw new FoveaError('argument', 'store', `${tensor.name} was declared for reading`)
  const dtype = loadedDType(tensor.dtype)
  const { rows, cols } = accessShape('store', tensor, indices, where ? [where, value] : [value])
  return {
    op: 'store',
    tensor,
    indices: indices.map((i) => cast(i, 'i32')),
    value: cast(value, dtype),
    where,
    dtype,
    rows,
    cols,
  }
}

/** a · b; transposes of the operands are folded in. */
export function dot(a: Node, b: Node): Node {
  const [transposeA, transposeB] = [a.op === 'transpose', b.op === 'transpose']
  if (!isFloat(a.dtype) || !isFloat(b.dtype))
    throw new FoveaError('dtype', 'dot', `takes floats, got ${describeType(a)} and ${describeType(b)}`)
  if (a.cols !== b.rows)
    throw new FoveaError('shape', 'dot', `inner sizes differ: ${describeType(a)} and ${describeType(b)}`)
  const left = a.op === 'transpose' ? a.x : a
  const right = b.op === 'transpose' ? b.x : b
  return { op: 'dot', a: left, b: right, transposeA, transposeB, dtype: 'f32', rows: a.rows, cols: b.cols }
}

export function reduce(fn: ReduceFn, axis: Axis, x: Node): Node {
  if (x.dtype === 'bool') throw new FoveaError('dtype', `reduce ${fn}`, `takes numbers, got ${describeType(x)}`)
  const wide = isFloat(x.dtype) ? cast(x, 'f32') : x
  return {
    op: 'reduce',
    fn,
    axis,
    x: wide,
    dtype: wide.dtype,
    rows: axis === 'rows' ? 1 : x.rows,
    cols: axis === 'cols' ? 1 : x.cols,
  }
}

export function scan(axis: Axis, x: Node, reverse = false): Node {
  if (x.dtype === 'bool') throw new FoveaError('dtype', 'scan', `takes numbers, got ${describeType(x)}`)
  const wide = isFloat(x.dtype) ? cast(x, 'f32') : x
  return { op: 'scan', axis, reverse, x: wide, dtype: wide.dtype, rows: x.rows, cols: x.cols }
}

export function arg(name: string, type: Typed, multipleOf = 1): ArgNode {
  return { op: 'arg', name, multipleOf, dtype: type.dtype, rows: type.rows, cols: type.cols }
}

export interface LoopParts {
  readonly from: Node
  readonly to: Node
  readonly step: number
  readonly index: ArgNode
  readonly inits: readonly Node[]
  readonly args: readonly ArgNode[]
  readonly results: readonly Node[]
  readonly effects: readonly EffectNode[]
}

/** A loop and the nodes of its final values. Each result must have its carried value's type. */
export function loop(parts: LoopParts): { loop: LoopNode; values: readonly Node[] } {
  if (!Number.isInteger(parts.step) || parts.step <= 0)
    throw new FoveaError('argument', 'loop', `step must be a positive integer, got ${parts.step}`)
  for (const bound of [parts.from, parts.to])
    if (bound.dtype !== 'i32' || bound.rows !== 1 || bound.cols !== 1)
      throw new FoveaError('dtype', 'loop', `bounds must be i32 scalars, got ${describeType(bound)}`)
  parts.args.forEach((a, i) => {
    for (const value of [parts.inits[i], parts.results[i]]) {
      if (!value || value.dtype !== a.dtype || value.rows !== a.rows || value.cols !== a.cols)
        throw new FoveaError(
          'shape',
          'loop',
          `carried ${a.name} is ${describeType(a)}, got ${value ? describeType(value) : 'nothing'}`,
        )
    }
  })
  const node: LoopNode = { op: 'loop', ...parts, dtype: 'i32', rows: 1, cols: 1 }
  return {
    loop: node,
    values: parts.args.map((a, at) => ({ op: 'result', loop: node, at, dtype: a.dtype, rows: a.rows, cols: a.cols })),
  }
}
