import { FoveaError } from '../../ir/error.ts'
import { isScalar, type LoadNode, type Node, type StoreNode } from '../../ir/node.ts'
import { get, type Instruction, i32, i32x4, load, onLane, op, select, store } from '../assembler/instruction.ts'
import { narrowToBfloat, narrowToHalf } from '../math/narrow-lanes.ts'
import { type Access, runsAlong } from '../plan/access.ts'
import { scalarValue } from './emit-scalar.ts'
import { elementBytes } from './kernel-frame.ts'
import { castLanes } from './lane-operations.ts'
import type { PassFrame, Position, RowFrame } from './pass-frame.ts'

/** Computes the lanes of a node at a position. */
export type Lanes = (node: Node, at: Position) => Instruction

/** Do the lanes of this access lie side by side in memory? */
export function isContiguous(access: Access, laneAxis: 'rows' | 'cols'): boolean {
  return access.dims.every((dim, index) => {
    const along = runsAlong(dim, laneAxis)
    return index === access.dims.length - 1 ? along && dim.kind === 'range' : !along
  })
}

/** Whether all lanes of a contiguous access are inside the last dimension: null when that is known, else the run-time test. */
export function insideTest(frame: PassFrame, access: Access): Instruction | null {
  const last = access.dims.length - 1
  const dim = access.dims[last]
  if (dim?.kind !== 'range' || frame.alwaysInside(access)) return null
  const size = access.tensor.sizes[last]
  const count = frame.laneCount
  const { scope } = frame
  const start = scope.f.let(scalarValue(scope, dim.base), 'start')
  const bound = op('i32.sub', typeof size === 'number' ? i32(size) : scope.frame.size(access.tensor, last), i32(count))
  return op('i32.and', op('i32.ge_s', get(start), i32(0)), op('i32.le_s', get(start), bound))
}

/** Four loaded elements as lanes of the loaded dtype; 0 where outside. */
export function loadLanes(
  frame: PassFrame,
  node: LoadNode,
  at: Position,
  lanes: Lanes,
  contiguous: boolean,
): Instruction {
  const access = frame.scope.plan.accesses.of(node)
  const { tensor, where } = access
  if (!contiguous) return gather(frame, access, at, lanes)
  const width = elementBytes(tensor.dtype)
  const pointer = frame.perRowPointer(at.row, node, 'source', width, () =>
    rowAddress(frame, access, at.row, frame.scope.zeroRow),
  )
  const offset = at.lane * width
  const bits = byteLanes(frame, node, at, get(pointer), offset) ?? contiguousBits(access, get(pointer), offset)
  const value = widen(frame, access, bits)
  return where && runsAlongLanes(where, frame) ? op('v128.and', value, lanes(where, at)) : value
}

/** Stores `count` lanes of `value` (of the tensor's loaded dtype); outside the tensor nothing happens. */
export function storeLanes(
  frame: PassFrame,
  node: StoreNode,
  value: Instruction,
  at: Position,
  lanes: Lanes,
  contiguous: boolean,
  count: number,
): void {
  const { f } = frame.scope
  const access = frame.scope.plan.accesses.of(node)
  const { tensor, where } = access
  const width = elementBytes(tensor.dtype)
  const bits = f.let(narrow(frame, access, value), 'lanes')
  const laneStore = width === 4 ? 'v128.store32_lane' : width === 2 ? 'v128.store16_lane' : 'v128.store8_lane'
  const laneStep = 4 / width
  if (contiguous && !(where && runsAlongLanes(where, frame))) {
    const pointer = frame.perRowPointer(at.row, node, 'target', width, () =>
      rowAddress(frame, access, at.row, frame.scope.spareRow),
    )
    const offset = at.lane * width
    if (count === 4) f.emit(packedStore(access, get(pointer), get(bits), offset))
    else
      for (let lane = 0; lane < count; lane++)
        f.emit(onLane(laneStore, lane * laneStep, [get(pointer), get(bits)], offset + lane * width))
    return
  }
  const { offsets, inside } = addresses(frame, access, at, lanes)
  for (let lane = 0; lane < count; lane++) {
    f.when(onLane('i32x4.extract_lane', lane, [inside()]), () => {
      const address = op('i32.add', frame.scope.frame.pointer(tensor), onLane('i32x4.extract_lane', lane, [offsets()]))
      f.emit(onLane(laneStore, lane * laneStep, [address, get(bits)]))
    })
  }
}

function runsAlongLanes(node: Node, frame: PassFrame): boolean {
  return node[frame.laneAxis] > 1
}

/** Address of the row's first lane, or of a region that stands for rows outside. */
function rowAddress(
  frame: PassFrame,
  access: Access,
  row: RowFrame,
  otherwise: { readonly offset: number },
): Instruction {
  const { scope } = frame
  const { tensor, dims, where } = access
  const last = dims.length - 1
  let address: Instruction = scope.frame.pointer(tensor)
  let inside: Instruction | null = null
  const require = (test: Instruction) => {
    inside = inside ? op('i32.and', inside, test) : test
  }
  dims.forEach((dim, index) => {
    if (index === last) {
      if (dim.kind !== 'range')
        throw new FoveaError('compile', 'compileProgram', `${tensor.name}: the last index is not a range`)
      address = op('i32.add', address, op('i32.mul', scalarValue(scope, dim.base), i32(elementBytes(tensor.dtype))))
      return
    }
    const at = scope.f.let(rowIndexOf(frame, dim, row), 'index')
    const size = tensor.sizes[index]
    require(op('i32.lt_u', get(at), typeof size === 'number' ? i32(size) : scope.frame.size(tensor, index)))
    address = op('i32.add', address, op('i32.mul', get(at), scope.frame.stride(tensor, index)))
  })
  if (where && !runsAlongLanes(where, frame))
    require(isScalar(where) ? scalarValue(scope, where) : rowWord(frame, where, row))
  return inside ? select(address, op('i32.add', get(scope.scratch), i32(otherwise.offset)), inside) : address
}

function rowIndexOf(frame: PassFrame, dim: Access['dims'][number], row: RowFrame): Instruction {
  const { scope } = frame
  if (dim.kind === 'uniform') return scalarValue(scope, dim.base)
  if (dim.kind === 'range') return op('i32.add', scalarValue(scope, dim.base), frame.rowIndex(row))
  return isScalar(dim.node) ? scalarValue(scope, dim.node) : rowWord(frame, dim.node, row)
}

/** One element of a row vector of integers or bools at the pass's row. */
function rowWord(frame: PassFrame, node: Node, row: RowFrame): Instruction {
  const slot = frame.scope.slots.plain.get(node)
  if (!slot) throw new FoveaError('compile', 'compileProgram', `a row vector of ${node.op} has no buffer`)
  const { pointer, offset } = frame.rowElement(slot, row)
  return load('i32.load', pointer, offset)
}

/** Byte offsets of four elements (0 where outside) and which of them are inside. */
function addresses(
  frame: PassFrame,
  access: Access,
  at: Position,
  lanes: Lanes,
): { offsets: () => Instruction; inside: () => Instruction } {
  const { scope, math } = frame
  const { tensor, dims, where } = access
  const number = scope.frame.numberOf(tensor)
  let offset: Instruction | null = null
  let inside: Instruction | null = where ? lanes(where, at) : null
  dims.forEach((dim, index) => {
    const position = math.share(laneIndices(frame, dim, at, lanes))
    const size = tensor.sizes[index]
    const bound = frame.hoists.once(`size ${number} ${index}`, 'v128', 'splat', () =>
      op('i32x4.splat', typeof size === 'number' ? i32(size) : scope.frame.size(tensor, index)),
    )
    const step = frame.hoists.once(`stride ${number} ${index}`, 'v128', 'splat', () =>
      op(
        'i32x4.splat',
        index === dims.length - 1 ? i32(elementBytes(tensor.dtype)) : scope.frame.stride(tensor, index),
      ),
    )
    const test = op('i32x4.lt_u', position(), get(bound))
    inside = inside ? op('v128.and', inside, test) : test
    const bytes = op('i32x4.mul', position(), get(step))
    offset = offset ? op('i32x4.add', offset, bytes) : bytes
  })
  const shared = math.share(inside ?? i32x4(-1))
  return { inside: shared, offsets: math.share(op('v128.and', offset ?? i32x4(0), shared())) }
}

function laneIndices(frame: PassFrame, dim: Access['dims'][number], at: Position, lanes: Lanes): Instruction {
  if (dim.kind === 'general') return lanes(dim.node, at)
  const base = frame.splat(dim.base)
  if (dim.kind === 'uniform') return base
  if (dim.axis !== frame.laneAxis) return op('i32x4.add', base, op('i32x4.splat', frame.rowIndex(at.row)))
  return op('i32x4.add', base, frame.laneNumbers(at))
}

function gather(frame: PassFrame, access: Access, at: Position, lanes: Lanes): Instruction {
  const { tensor } = access
  const { offsets, inside } = addresses(frame, access, at, lanes)
  const width = elementBytes(tensor.dtype)
  const name = width === 4 ? 'v128.load32_lane' : width === 2 ? 'v128.load16_lane' : 'v128.load8_lane'
  let bits: Instruction = i32x4(0)
  for (let lane = 0; lane < 4; lane++) {
    const address = op('i32.add', frame.scope.frame.pointer(tensor), onLane('i32x4.extract_lane', lane, [offsets()]))
    bits = onLane(name, (lane * 4) / width, [address, bits])
  }
  if (tensor.dtype === 'i8') bits = op('i32x4.shr_s', op('i32x4.shl', bits, i32(24)), i32(24))
  return op('v128.and', widen(frame, access, bits), inside())
}

/** Four bytes in i32 lanes where eight neighbouring ones are loaded together: at the first four, or by the first four. */
function byteLanes(
  { laneCount }: PassFrame,
  node: LoadNode,
  { bytes, lane }: Position,
  pointer: Instruction,
  offset: number,
): Instruction | null {
  const { tensor } = node
  const signed = tensor.dtype === 'i8' ? 's' : 'u'
  if (!bytes || (tensor.dtype !== 'i8' && tensor.dtype !== 'u8')) return null
  const first = bytes.get(node)
  if (lane % 8 === 4) return first ? op(`i32x4.extend_high_i16x8_${signed}`, get(first)) : null
  if (lane + 8 > laneCount) return null
  const eight = bytes.keep(node, load(`v128.load8x8_${signed}`, pointer, offset))
  return op(`i32x4.extend_low_i16x8_${signed}`, get(eight))
}

/** Four neighbouring elements as stored: 32-bit numbers, or narrower ones in i32 lanes. */
function contiguousBits({ tensor }: Access, pointer: Instruction, offset: number): Instruction {
  switch (tensor.dtype) {
    case 'f32':
    case 'i32':
    case 'u32':
      return load('v128.load', pointer, offset)
    case 'f16':
    case 'bf16':
      return load('v128.load16x4_u', pointer, offset)
    case 'i8':
      return op('i32x4.extend_low_i16x8_s', op('i16x8.extend_low_i8x16_s', load('v128.load32_zero', pointer, offset)))
    case 'u8':
      return op('i32x4.extend_low_i16x8_u', op('i16x8.extend_low_i8x16_u', load('v128.load32_zero', pointer, offset)))
    default:
      return tensor.dtype satisfies never
  }
}

function widen(frame: PassFrame, { tensor }: Access, bits: Instruction): Instruction {
  if (tensor.dtype !== 'f16' && tensor.dtype !== 'bf16') return bits
  return castLanes(frame.math, tensor.dtype === 'f16' ? 'f16 bits' : 'bf16 bits', 'f32', bits)
}

function narrow(frame: PassFrame, { tensor }: Access, value: Instruction): Instruction {
  if (tensor.dtype === 'f16') return narrowToHalf(frame.math, value)
  return tensor.dtype === 'bf16' ? narrowToBfloat(frame.math, value) : value
}

function packedStore({ tensor }: Access, pointer: Instruction, bits: Instruction, offset: number): Instruction {
  const width = elementBytes(tensor.dtype)
  if (width === 4) return store('v128.store', pointer, bits, offset)
  const pairs = width === 2 ? [0, 1, 4, 5, 8, 9, 12, 13] : [0, 4, 8, 12]
  const lanes = Array.from({ length: 16 }, (_, byte) => pairs[byte] ?? 0)
  const packed: Instruction = { kind: 'shuffle', type: 'v128', lanes, operands: [bits, bits] }
  return onLane(width === 2 ? 'v128.store64_lane' : 'v128.store32_lane', 0, [pointer, packed], offset)
}
