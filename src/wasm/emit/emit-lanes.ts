import { FoveaError } from '../../ir/error.ts'
import { type BinaryNode, isScalar, type Node } from '../../ir/node.ts'
import { get, type Instruction, i32, onLane, op } from '../assembler/instruction.ts'
import { isIdentityReduce } from '../plan/node-class.ts'
import { isContiguous, loadLanes } from './emit-access.ts'
import { binaryLanes, castLanes, lookupLanes, unaryLanes } from './lane-operations.ts'
import type { PassFrame, Position } from './pass-frame.ts'

/** How the values of a pass are computed. */
export interface LaneOptions {
  /** values whose buffer is written by this pass, so that they are computed and not read */
  readonly own: ReadonlySet<Node>
  /** contiguous accesses with a run-time test are known to be inside */
  readonly inside: boolean
}

/** Emitter of the lanes of a node at a position of a pass: reads buffers, computes the rest, each shared value once. */
export function laneEmitter(frame: PassFrame, options: LaneOptions): (node: Node, at: Position) => Instruction {
  const { scope, math } = frame
  const { plan, slots, f } = scope
  const shareScalar = (value: Instruction) => {
    const local = f.let(value, value.type === 'f32' ? 'float' : 'int')
    return () => get(local)
  }

  const lanes = (node: Node, at: Position): Instruction => {
    const known = at.known.get(node)
    if (known) return get(known)
    if (node.op === 'const')
      return node.dtype === 'bool'
        ? math.integer(node.value ? -1 : 0)
        : node.dtype === 'i32' || node.dtype === 'u32'
          ? math.integer(node.value)
          : math.constant(node.value)
    if (isScalar(node)) return frame.splat(node)
    const slot = options.own.has(node) ? undefined : slots.plain.get(node)
    if (slot && (plan.buffered(node) || node.op === 'arg' || node.op === 'result')) return frame.read(node, slot, at)
    const value = compute(node, at)
    if ((plan.uses.uses.get(node)?.length ?? 0) < 2) return value
    const local = f.let(value, 'lanes')
    at.known.set(node, local)
    return get(local)
  }

  // a product that only this sum uses joins it in one multiply-add
  const product = (node: Node, at: Position): { a: Instruction; b: Instruction } | null => {
    if (node.op !== 'binary' || node.fn !== 'mul' || node.dtype !== 'f32' || isScalar(node) || at.known.has(node))
      return null
    if (plan.buffered(node) || (plan.uses.uses.get(node)?.length ?? 0) > 1) return null
    return { a: lanes(node.a, at), b: lanes(node.b, at) }
  }

  const compute = (node: Node, at: Position): Instruction => {
    switch (node.op) {
      case 'iota':
        return iota(node.axis, at)
      case 'unary':
        return unaryLanes(math, node, lanes(node.x, at))
      case 'binary': {
        if (scope.relaxed && node.dtype === 'f32' && node.fn === 'add') {
          const first = product(node.a, at)
          if (first) return math.multiplyAdd(first.a, first.b, lanes(node.b, at))
          const other = product(node.b, at)
          if (other) return math.multiplyAdd(other.a, other.b, lanes(node.a, at))
        }
        if (scope.relaxed && node.dtype === 'f32' && node.fn === 'sub') {
          const taken = product(node.b, at)
          if (taken) return op('f32x4.relaxed_nmadd', taken.a, taken.b, lanes(node.a, at))
        }
        if ((node.fn === 'shl' || node.fn === 'shr') && node.b[frame.laneAxis] === 1)
          return shift(node, lanes(node.a, at), at)
        const [a, b] =
          node.a.op === 'const' && (node.fn === 'max' || node.fn === 'min') ? [node.b, node.a] : [node.a, node.b]
        return binaryLanes(math, node, lanes(a, at), lanes(b, at), shareScalar)
      }
      case 'select': {
        const taken = frame.decisions.get(node.cond)
        if (taken !== undefined) return lanes(taken ? node.a : node.b, at)
        return op('v128.bitselect', lanes(node.a, at), lanes(node.b, at), lanes(node.cond, at))
      }
      case 'cast':
        return castLanes(math, node.x.dtype, node.dtype, lanes(node.x, at))
      case 'lookup':
        return lookupLanes(scope.relaxed, get(frame.table(node.table)), lanes(node.x, at))
      case 'broadcast':
        return lanes(node.x, at)
      case 'load': {
        const access = plan.accesses.of(node)
        return loadLanes(
          frame,
          node,
          at,
          lanes,
          isContiguous(access, frame.laneAxis) && (options.inside || frame.alwaysInside(access)),
        )
      }
      case 'reduce':
        if (isIdentityReduce(node)) return lanes(node.x, at)
        break
      default:
    }
    throw new FoveaError(
      'compile',
      'compileProgram',
      `${node.op} [${node.rows}, ${node.cols}] inside a pass over [${frame.rows}, ${frame.cols}]`,
    )
  }

  // all lanes by as much: one instruction
  const shift = ({ fn, dtype, b }: BinaryNode, x: Instruction, at: Position): Instruction => {
    const name = fn === 'shl' ? 'i32x4.shl' : dtype === 'u32' ? 'i32x4.shr_u' : 'i32x4.shr_s'
    if (b.op === 'const') return op(name, x, i32(b.value | 0))
    if (isScalar(b)) return op(name, x, frame.scalar(b))
    const row = () => onLane('i32x4.extract_lane', 0, [lanes(b, { ...at, known: new Map() })])
    return op(name, x, get(at.row.hoists.once(b, 'i32', 'shift', row)))
  }

  const iota = (axis: 'rows' | 'cols', at: Position): Instruction => {
    if (axis !== frame.laneAxis) return op('i32x4.splat', frame.rowIndex(at.row))
    return frame.laneNumbers(at)
  }
  return lanes
}
