import { isFloat } from '../../ir/dtype.ts'
import { FoveaError } from '../../ir/error.ts'
import type { BinaryNode, CompareFn, LoadNode, Node, UnaryNode } from '../../ir/node.ts'
import { f32, get, type Instruction, i8x16, i32, load, onLane, op, select } from '../assembler/instruction.ts'
import type { OpcodeName } from '../assembler/opcodes.ts'
import { divideScalar } from '../math/lane-division.ts'
import { vectorMath } from '../math/vector-math.ts'
import type { EmitScope } from './emit-scope.ts'
import { elementBytes } from './kernel-frame.ts'
import { binaryLanes, castLanes, lookupLanes, unaryLanes } from './lane-operations.ts'

/** The value of a [1, 1] node as an i32 or f32 instruction; bools are 0 or 1. */
export function scalarValue(scope: EmitScope, node: Node): Instruction {
  const local = scope.scalars.get(node)
  if (local) return get(local)
  switch (node.op) {
    case 'const':
      return isFloat(node.dtype) ? f32(node.value) : i32(node.value)
    case 'programId':
      return get(scope.programIds[node.axis])
    case 'scalar':
      return scope.frame.scalar(node.param)
    case 'size':
      return scope.frame.size(node.tensor, node.dim)
    case 'iota':
      return i32(0)
    case 'unary':
      return unary(scope, node)
    case 'binary':
      return binary(scope, node)
    case 'select':
      return select(scalarValue(scope, node.a), scalarValue(scope, node.b), scalarValue(scope, node.cond))
    case 'cast':
      return cast(scope, node.x, node)
    case 'lookup':
      return fromLanes(node, lookupLanes(scope.relaxed, i8x16(node.table), toLanes(node.x, scalarValue(scope, node.x))))
    case 'broadcast':
    case 'reduce':
    case 'transpose':
    case 'scan':
      return scalarValue(scope, node.x)
    case 'load':
      return loadScalar(scope, node)
    default:
      throw new FoveaError('compile', 'compileProgram', `a scalar of ${node.op} has no value here`)
  }
}

const share = (scope: EmitScope, value: Instruction) => {
  const local = scope.f.let(value, value.type === 'f32' ? 'float' : 'int')
  return () => get(local)
}

const simpleUnary: Partial<Record<UnaryNode['fn'], OpcodeName>> = {
  neg: 'f32.neg',
  abs: 'f32.abs',
  sqrt: 'f32.sqrt',
  floor: 'f32.floor',
  ceil: 'f32.ceil',
  round: 'f32.nearest',
}

function unary(scope: EmitScope, node: UnaryNode): Instruction {
  const x = scalarValue(scope, node.x)
  if (node.dtype === 'bool') return op('i32.eqz', x)
  const simple = simpleUnary[node.fn]
  if (isFloat(node.dtype) && simple) return op(simple, x)
  return fromLanes(node, unaryLanes(vectorMath(scope.f, scope.relaxed), node, toLanes(node.x, x)))
}

const floatBinary: Partial<Record<BinaryNode['fn'], OpcodeName>> = {
  add: 'f32.add',
  sub: 'f32.sub',
  mul: 'f32.mul',
  div: 'f32.div',
  min: 'f32.min',
  max: 'f32.max',
  eq: 'f32.eq',
  ne: 'f32.ne',
  lt: 'f32.lt',
  le: 'f32.le',
  gt: 'f32.gt',
  ge: 'f32.ge',
}
const integerBinary: Partial<Record<BinaryNode['fn'], OpcodeName>> = {
  add: 'i32.add',
  sub: 'i32.sub',
  mul: 'i32.mul',
  and: 'i32.and',
  or: 'i32.or',
  xor: 'i32.xor',
  shl: 'i32.shl',
  eq: 'i32.eq',
  ne: 'i32.ne',
}
const ordered: Readonly<
  Record<Exclude<CompareFn, 'eq' | 'ne'> | 'shr', readonly [signed: OpcodeName, unsigned: OpcodeName]>
> = {
  lt: ['i32.lt_s', 'i32.lt_u'],
  le: ['i32.le_s', 'i32.le_u'],
  gt: ['i32.gt_s', 'i32.gt_u'],
  ge: ['i32.ge_s', 'i32.ge_u'],
  shr: ['i32.shr_s', 'i32.shr_u'],
}

function binary(scope: EmitScope, node: BinaryNode): Instruction {
  const { fn } = node
  const [a, b] = [scalarValue(scope, node.a), scalarValue(scope, node.b)]
  if (isFloat(node.a.dtype)) {
    const simple = floatBinary[fn]
    if (simple) return op(simple, a, b)
    return fromLanes(
      node,
      binaryLanes(vectorMath(scope.f, scope.relaxed), node, toLanes(node.a, a), toLanes(node.b, b), (value) =>
        share(scope, value),
      ),
    )
  }
  const unsigned = node.a.dtype === 'u32'
  const simple = integerBinary[fn]
  if (simple) return op(simple, a, b)
  if (fn === 'div' || fn === 'mod') return divideScalar(fn, unsigned, share(scope, a), share(scope, b))
  if (fn === 'min' || fn === 'max') {
    const [x, y] = [share(scope, a), share(scope, b)]
    const smaller = op(unsigned ? 'i32.lt_u' : 'i32.lt_s', x(), y())
    return fn === 'min' ? select(x(), y(), smaller) : select(y(), x(), smaller)
  }
  if (fn === 'lt' || fn === 'le' || fn === 'gt' || fn === 'ge' || fn === 'shr')
    return op(ordered[fn][unsigned ? 1 : 0], a, b)
  throw new FoveaError('compile', 'compileProgram', `${fn} of ${node.a.dtype} scalars`)
}

function cast(scope: EmitScope, x: Node, to: Node): Instruction {
  const value = scalarValue(scope, x)
  if (to.dtype === 'bool')
    return isFloat(x.dtype) ? op('f32.gt', op('f32.abs', value), f32(0)) : op('i32.ne', value, i32(0))
  if (to.dtype === 'f32') {
    if (isFloat(x.dtype)) return value
    return op(x.dtype === 'u32' ? 'f32.convert_i32_u' : 'f32.convert_i32_s', value)
  }
  if (isFloat(to.dtype))
    return fromLanes(to, castLanes(vectorMath(scope.f, scope.relaxed), x.dtype, to.dtype, toLanes(x, value)))
  if (isFloat(x.dtype)) return op(to.dtype === 'u32' ? 'i32.trunc_sat_f32_u' : 'i32.trunc_sat_f32_s', value)
  return value
}

/** A scalar in all lanes, as lanes hold it: a bool is all ones or zero. */
export function toLanes(node: Node, value: Instruction): Instruction {
  if (isFloat(node.dtype)) return op('f32x4.splat', value)
  return op('i32x4.splat', node.dtype === 'bool' ? op('i32.sub', i32(0), value) : value)
}

function fromLanes(node: Node, lanes: Instruction): Instruction {
  if (isFloat(node.dtype)) return onLane('f32x4.extract_lane', 0, [lanes])
  const value = onLane('i32x4.extract_lane', 0, [lanes])
  return node.dtype === 'bool' ? op('i32.and', value, i32(1)) : value
}

/** One element of a tensor, 0 outside it: the address is the tensor's first where the index is outside. */
function loadScalar(scope: EmitScope, node: LoadNode): Instruction {
  const { frame } = scope
  const { tensor, dims, where } = scope.plan.accesses.of(node)
  let offset: Instruction = i32(0)
  let inside: Instruction = where ? scalarValue(scope, where) : i32(1)
  dims.forEach((dim, index) => {
    const at = share(scope, scalarValue(scope, dim.kind === 'general' ? dim.node : dim.base))
    const step = index === dims.length - 1 ? i32(elementBytes(tensor.dtype)) : frame.stride(tensor, index)
    offset = op('i32.add', offset, op('i32.mul', at(), step))
    const size = tensor.sizes[index]
    inside = op(
      'i32.and',
      inside,
      op('i32.lt_u', at(), typeof size === 'number' ? i32(size) : frame.size(tensor, index)),
    )
  })
  const ok = share(scope, inside)
  const address = op('i32.add', frame.pointer(tensor), select(offset, i32(0), ok()))
  if (tensor.dtype === 'f32') return select(load('f32.load', address), f32(0), ok())
  if (tensor.dtype === 'f16' || tensor.dtype === 'bf16') {
    const bits = select(load('i32.load16_u', address), i32(0), ok())
    const widened = castLanes(
      vectorMath(scope.f, scope.relaxed),
      tensor.dtype === 'f16' ? 'f16 bits' : 'bf16 bits',
      'f32',
      op('i32x4.splat', bits),
    )
    return onLane('f32x4.extract_lane', 0, [widened])
  }
  const name = tensor.dtype === 'i8' ? 'i32.load8_s' : tensor.dtype === 'u8' ? 'i32.load8_u' : 'i32.load'
  return select(load(name, address), i32(0), ok())
}
