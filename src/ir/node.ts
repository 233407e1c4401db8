import type { DType, StorageDType } from './dtype.ts'

/**
 * long: one list of all nodes, so that the compiler names what a back end lacks.
 *
 * The nodes of the tile IR. Every value is a matrix [rows, cols] of compile-time size: a scalar is [1, 1], a row vector
 * (one value per row) is [r, 1], a column vector is [1, c], a tile is [r, c]. Element-wise operations broadcast sizes of 1.
 * Nodes are immutable and pure; a program is a graph of them, ordered by `schedule`.
 */
export interface Typed {
  readonly dtype: DType
  readonly rows: number
  readonly cols: number
}

/** A tensor argument. Strides, offset and the sizes given as null are run-time values; the last dimension is contiguous. */
export interface TensorParam {
  readonly kind: 'tensor'
  readonly name: string
  readonly dtype: StorageDType
  /** one entry per dimension: a number specialises the program, null is a run-time size */
  readonly sizes: readonly (number | null)[]
  /**
   * `readwrite`: an element is loaded only to compute what the same program stores there, once, and no other program of the
   * grid touches it; so its load precedes its store in every order that a back end may choose
   */
  readonly access: 'read' | 'write' | 'readwrite'
  /** offset and every stride but the last are multiples of this many elements (a power of two, 1 when nothing is known) */
  readonly alignment: number
  /** for a captured tensor: the object to bind at run time; it takes no part in the program's identity */
  readonly source?: object
}

/** A run-time scalar argument. */
export interface ScalarParam {
  readonly kind: 'scalar'
  readonly name: string
  readonly dtype: 'f32' | 'i32' | 'u32'
}

export type Param = TensorParam | ScalarParam

/**
 * x → fn(x). neg and abs keep integers; `not` takes bool (or integers, bitwise); `fromBits` is the f32
 * that an i32 has the bits of; the rest compute in f32.
 */
export const unaryFns = [
  'neg',
  'abs',
  'not',
  'exp',
  'exp2',
  'log',
  'log2',
  'sqrt',
  'rsqrt',
  'reciprocal',
  'sin',
  'cos',
  'tanh',
  'sigmoid',
  'erf',
  'floor',
  'ceil',
  'round',
  'sign',
  'fromBits',
] as const
export type UnaryFn = (typeof unaryFns)[number]

/**
 * Arithmetic in the promoted dtype. Integer `div` truncates towards zero and `mod` takes the dividend's sign; both give 0 for
 * a zero divisor. `pow` is f32. `and or xor` take two bools or two integers; `shl shr` integers.
 */
export const arithmeticFns = [
  'add',
  'sub',
  'mul',
  'div',
  'mod',
  'min',
  'max',
  'pow',
  'and',
  'or',
  'xor',
  'shl',
  'shr',
] as const
export type ArithmeticFn = (typeof arithmeticFns)[number]

/** Comparisons of two values of the promoted dtype; the result is bool. */
export const compareFns = ['eq', 'ne', 'lt', 'le', 'gt', 'ge'] as const
export type CompareFn = (typeof compareFns)[number]

export type BinaryFn = ArithmeticFn | CompareFn
export type ReduceFn = 'sum' | 'max' | 'min'
export type Axis = 'rows' | 'cols'

export interface ConstNode extends Typed {
  readonly op: 'const'
  readonly value: number
}
/** the program's position in the grid along axis 0, 1 or 2 (i32) */
export interface ProgramIdNode extends Typed {
  readonly op: 'programId'
  readonly axis: 0 | 1 | 2
}
export interface ScalarNode extends Typed {
  readonly op: 'scalar'
  readonly param: ScalarParam
}
/** the run-time size of one dimension of a tensor (i32) */
export interface SizeNode extends Typed {
  readonly op: 'size'
  readonly tensor: TensorParam
  readonly dim: number
}
/** 0 … n−1 along an axis: [n, 1] for rows, [1, n] for cols (i32) */
export interface IotaNode extends Typed {
  readonly op: 'iota'
  readonly axis: Axis
}
export interface UnaryNode extends Typed {
  readonly op: 'unary'
  readonly fn: UnaryFn
  readonly x: Node
}
export interface BinaryNode extends Typed {
  readonly op: 'binary'
  readonly fn: BinaryFn
  readonly a: Node
  readonly b: Node
}
/**
 * cond ? a : b, element-wise. Both sides are pure; only the chosen one need be evaluated. A scalar cond is a *uniform
 * select*: back ends branch on it once and skip the other side's work.
 */
export interface SelectNode extends Typed {
  readonly op: 'select'
  readonly cond: Node
  readonly a: Node
  readonly b: Node
}
/** conversion: float → integer truncates and saturates, NaN gives 0; to f16 and bf16 rounds to nearest even; bool → 0 or 1 */
export interface CastNode extends Typed {
  readonly op: 'cast'
  readonly x: Node
}
/** table[x], of 16 integers of −128 … 127; x is an i32 of 0 … 15, the result i32: how codes of 4 bits are read */
export interface LookupNode extends Typed {
  readonly op: 'lookup'
  readonly x: Node
  readonly table: readonly number[]
}
/** x repeated along axes of size 1 */
export interface BroadcastNode extends Typed {
  readonly op: 'broadcast'
  readonly x: Node
}
/**
 * tensor[indices], one i32 index per dimension, broadcast together to the shape of the result. An element whose index is
 * outside its dimension, or where `where` is false, reads 0; memory outside the tensor is never touched.
 */
export interface LoadNode extends Typed {
  readonly op: 'load'
  readonly tensor: TensorParam
  readonly indices: readonly Node[]
  readonly where: Node | null
}
export interface TransposeNode extends Typed {
  readonly op: 'transpose'
  readonly x: Node
}
/**
 * a · b in f32 accumulation, [m, k] · [k, n]; with transposeA, a is [k, m]; with transposeB, b is [n, k]. When one operand is
 * a narrow float and the other f32, a back end may round the f32 operand to the narrow dtype (matrix units take one dtype).
 */
export interface DotNode extends Typed {
  readonly op: 'dot'
  readonly a: Node
  readonly b: Node
  readonly transposeA: boolean
  readonly transposeB: boolean
}
/** reduction over `axis`, which becomes 1: axis cols gives [r, 1]; max of nothing does not occur (sizes are ≥ 1) */
export interface ReduceNode extends Typed {
  readonly op: 'reduce'
  readonly fn: ReduceFn
  readonly axis: Axis
  readonly x: Node
}
/** inclusive running sum along `axis`, from the end when `reverse` */
export interface ScanNode extends Typed {
  readonly op: 'scan'
  readonly axis: Axis
  readonly reverse: boolean
  readonly x: Node
}
/** a value bound by a loop: its index (i32 scalar) or one of its carried values */
export interface ArgNode extends Typed {
  readonly op: 'arg'
  readonly name: string
  /** what every value of a loop index is a multiple of, as far as bounds and step tell; 1 for carried values */
  readonly multipleOf: number
}
/**
 * for (index = from; index < to; index += step): args start as inits, become results after each round. `from` and `to`
 * are i32 scalars, step a positive number. `effects` (stores, and loops that store) happen once per round, in order.
 */
export interface LoopNode extends Typed {
  readonly op: 'loop'
  readonly from: Node
  readonly to: Node
  readonly step: number
  readonly index: ArgNode
  readonly inits: readonly Node[]
  readonly args: readonly ArgNode[]
  readonly results: readonly Node[]
  readonly effects: readonly EffectNode[]
}
/** the final value of a loop's carried value number `at` */
export interface ResultNode extends Typed {
  readonly op: 'result'
  readonly loop: LoopNode
  readonly at: number
}
/** tensor[indices] = value; outside the tensor, or where `where` is false, nothing is written */
export interface StoreNode extends Typed {
  readonly op: 'store'
  readonly tensor: TensorParam
  readonly indices: readonly Node[]
  readonly value: Node
  readonly where: Node | null
}

export type EffectNode = StoreNode | LoopNode

export type Node =
  | ConstNode
  | ProgramIdNode
  | ScalarNode
  | SizeNode
  | IotaNode
  | UnaryNode
  | BinaryNode
  | SelectNode
  | CastNode
  | LookupNode
  | BroadcastNode
  | LoadNode
  | TransposeNode
  | DotNode
  | ReduceNode
  | ScanNode
  | ArgNode
  | LoopNode
  | ResultNode
  | StoreNode

export type Op = Node['op']
/** A table with one entry per op: what every back end is built on, so that the compiler names a missing one. */
export type OpTable<Result, Extra extends unknown[] = []> = {
  readonly [K in Op]: (node: Extract<Node, { op: K }>, ...extra: Extra) => Result
}

/** The nodes a node is computed from, in order (a loop: its bounds and initial values, not its body). */
export function operands(node: Node): readonly Node[] {
  switch (node.op) {
    case 'const':
    case 'programId':
    case 'scalar':
    case 'size':
    case 'iota':
    case 'arg':
      return []
    case 'unary':
    case 'cast':
    case 'lookup':
    case 'broadcast':
    case 'transpose':
    case 'reduce':
    case 'scan':
      return [node.x]
    case 'binary':
    case 'dot':
      return [node.a, node.b]
    case 'select':
      return [node.cond, node.a, node.b]
    case 'load':
      return node.where ? [...node.indices, node.where] : node.indices
    case 'store':
      return node.where ? [...node.indices, node.value, node.where] : [...node.indices, node.value]
    case 'loop':
      return [node.from, node.to, ...node.inits]
    case 'result':
      return [node.loop]
    default:
      return node satisfies never
  }
}

/** Is this a [1, 1] value? */
export function isScalar(node: Typed): boolean {
  return node.rows === 1 && node.cols === 1
}
