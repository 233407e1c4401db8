import { type DType, isFloat } from '../../ir/dtype.ts'
import { FoveaError } from '../../ir/error.ts'
import type { BinaryFn, BinaryNode, CompareFn, UnaryFn, UnaryNode } from '../../ir/node.ts'
import { type Instruction, i32, onLane, op } from '../assembler/instruction.ts'
import type { OpcodeName } from '../assembler/opcodes.ts'
import { exp, exp2 } from '../math/exponential.ts'
import { divideLanes } from '../math/lane-division.ts'
import { log, log2 } from '../math/logarithm.ts'
import { narrowToBfloat, narrowToHalf, widenBfloat, widenHalf } from '../math/narrow-lanes.ts'
import { power } from '../math/power.ts'
import { erf, sigmoid, tanh } from '../math/sigmoidal.ts'
import { cos, sin } from '../math/trigonometric.ts'
import type { VectorMath } from '../math/vector-math.ts'

type Share = (value: Instruction) => () => Instruction

const floatUnary: { readonly [K in Exclude<UnaryFn, 'not'>]: (m: VectorMath, x: Instruction) => Instruction } = {
  neg: (_, x) => op('f32x4.neg', x),
  abs: (_, x) => op('f32x4.abs', x),
  exp,
  exp2,
  log,
  log2,
  sqrt: (_, x) => op('f32x4.sqrt', x),
  rsqrt: (m, x) => op('f32x4.div', m.constant(1), op('f32x4.sqrt', x)),
  reciprocal: (m, x) => op('f32x4.div', m.constant(1), x),
  sin,
  cos,
  tanh,
  sigmoid,
  erf,
  floor: (_, x) => op('f32x4.floor', x),
  ceil: (_, x) => op('f32x4.ceil', x),
  round: (_, x) => op('f32x4.nearest', x),
  fromBits: (_, x) => x,
  sign: (m, value) => {
    const x = m.share(value)
    const one = op('v128.or', m.constant(1), op('v128.and', x(), m.integer(-0x80000000)))
    // zero and NaN are their own sign
    return op('v128.bitselect', one, x(), op('f32x4.gt', op('f32x4.abs', x()), m.constant(0)))
  },
}

/** fn(x) in four lanes. */
export function unaryLanes(m: VectorMath, node: UnaryNode, x: Instruction): Instruction {
  const { fn, dtype } = node
  if (fn === 'not') return op('v128.not', x)
  if (isFloat(dtype)) return floatUnary[fn](m, x)
  if (fn === 'neg') return op('i32x4.neg', x)
  if (fn === 'abs') return dtype === 'u32' ? x : op('i32x4.abs', x)
  if (fn === 'sign')
    return dtype === 'u32'
      ? op('i32x4.min_u', x, m.integer(1))
      : op('i32x4.max_s', op('i32x4.min_s', x, m.integer(1)), m.integer(-1))
  throw new FoveaError('compile', 'compileProgram', `${fn} of ${dtype}`)
}

const floatBinary: { readonly [K in BinaryFn]?: OpcodeName } = {
  add: 'f32x4.add',
  sub: 'f32x4.sub',
  mul: 'f32x4.mul',
  div: 'f32x4.div',
  min: 'f32x4.pmin',
  max: 'f32x4.pmax',
  eq: 'f32x4.eq',
  ne: 'f32x4.ne',
  lt: 'f32x4.lt',
  le: 'f32x4.le',
  gt: 'f32x4.gt',
  ge: 'f32x4.ge',
}
const integerBinary: { readonly [K in BinaryFn]?: OpcodeName } = {
  add: 'i32x4.add',
  sub: 'i32x4.sub',
  mul: 'i32x4.mul',
  and: 'v128.and',
  or: 'v128.or',
  xor: 'v128.xor',
  eq: 'i32x4.eq',
  ne: 'i32x4.ne',
}
type Ordered = Exclude<CompareFn, 'eq' | 'ne'> | 'min' | 'max'
const ordered: { readonly [K in Ordered]: readonly [signed: OpcodeName, unsigned: OpcodeName] } = {
  lt: ['i32x4.lt_s', 'i32x4.lt_u'],
  le: ['i32x4.le_s', 'i32x4.le_u'],
  gt: ['i32x4.gt_s', 'i32x4.gt_u'],
  ge: ['i32x4.ge_s', 'i32x4.ge_u'],
  min: ['i32x4.min_s', 'i32x4.min_u'],
  max: ['i32x4.max_s', 'i32x4.max_u'],
}

/** fn(a, b) in four lanes; comparisons give all ones or zero. Shifts by lanes go lane by lane. */
export function binaryLanes(
  m: VectorMath,
  node: BinaryNode,
  a: Instruction,
  b: Instruction,
  shareScalar: Share,
): Instruction {
  const { fn } = node
  const { dtype } = node.a
  if (isFloat(dtype)) {
    const simple = floatBinary[fn]
    if (simple) return op(simple, a, b)
    if (fn === 'pow') return power(m, a, b)
    if (fn === 'mod') {
      const [x, y] = [m.share(a), m.share(b)]
      return op('f32x4.sub', x(), op('f32x4.mul', op('f32x4.trunc', op('f32x4.div', x(), y())), y()))
    }
    throw new FoveaError('compile', 'compileProgram', `${fn} of ${dtype}`)
  }
  const unsigned = dtype === 'u32'
  const simple = integerBinary[fn]
  if (simple) return op(simple, a, b)
  if (fn === 'div' || fn === 'mod') return divideLanes(m, fn, unsigned, a, b, shareScalar)
  if (fn === 'shl' || fn === 'shr') return shiftLanes(m, fn, unsigned, a, b, shareScalar)
  const pair = ordered[fn as Ordered] as readonly [OpcodeName, OpcodeName] | undefined
  if (!pair) throw new FoveaError('compile', 'compileProgram', `${fn} of ${dtype}`)
  return op(pair[unsigned ? 1 : 0], a, b)
}

function shiftLanes(
  m: VectorMath,
  fn: 'shl' | 'shr',
  unsigned: boolean,
  a: Instruction,
  b: Instruction,
  shareScalar: Share,
): Instruction {
  const [left, right] = [m.share(a), m.share(b)]
  const name = fn === 'shl' ? 'i32.shl' : unsigned ? 'i32.shr_u' : 'i32.shr_s'
  let result = m.integer(0)
  for (let lane = 0; lane < 4; lane++) {
    const shifted = shareScalar(
      op(name, onLane('i32x4.extract_lane', lane, [left()]), onLane('i32x4.extract_lane', lane, [right()])),
    )
    result = onLane('i32x4.replace_lane', lane, [result, shifted()])
  }
  return result
}

/** Conversion of lanes; narrow floats are held as f32 that such a float can represent, their stored bits as i32. */
export function castLanes(
  m: VectorMath,
  from: DType | 'f16 bits' | 'bf16 bits',
  to: DType,
  x: Instruction,
): Instruction {
  if (from === 'f16 bits') return widenHalf(m, x)
  if (from === 'bf16 bits') return widenBfloat(x)
  if (from === to) return x
  if (to === 'bool')
    return isFloat(from) ? op('f32x4.gt', op('f32x4.abs', x), m.constant(0)) : op('i32x4.ne', x, m.integer(0))
  if (isFloat(to)) {
    const wide = isFloat(from)
      ? x
      : from === 'bool'
        ? op('v128.and', x, m.constant(1))
        : op(from === 'u32' ? 'f32x4.convert_i32x4_u' : 'f32x4.convert_i32x4_s', x)
    if (to === 'f16') return widenHalf(m, narrowToHalf(m, wide))
    return to === 'bf16' ? widenBfloat(narrowToBfloat(m, wide)) : wide
  }
  if (isFloat(from)) return op(to === 'u32' ? 'i32x4.trunc_sat_f32x4_u' : 'i32x4.trunc_sat_f32x4_s', x)
  return from === 'bool' ? op('v128.and', x, m.integer(1)) : x
}

/** table[x] in four lanes: bytes of `table` are looked up, of which each lane's lowest is then spread over its sign. */
export function lookupLanes(relaxed: boolean, table: Instruction, x: Instruction): Instruction {
  const bytes = op(relaxed ? 'i8x16.relaxed_swizzle' : 'i8x16.swizzle', table, x)
  return op('i32x4.shr_s', op('i32x4.shl', bytes, i32(24)), i32(24))
}
