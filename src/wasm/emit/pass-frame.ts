import { isScalar, type Node } from '../../ir/node.ts'
import type { FunctionBuilder, LocalScope } from '../assembler/function-builder.ts'
import { f32x4, get, type Instruction, i8x16, i32, i32x4, type Local, load, op, set } from '../assembler/instruction.ts'
import { multiplyAdd, type VectorMath } from '../math/vector-math.ts'
import type { Access } from '../plan/access.ts'
import type { Slot } from '../plan/slot.ts'
import { scalarValue, toLanes } from './emit-scalar.ts'
import { type EmitScope, localType } from './emit-scope.ts'
import { type Advance, Hoists } from './hoists.ts'

/** The four lanes being computed: which row of the frame, how far from the frame's pointers. */
export interface Position {
  readonly row: RowFrame
  /** lanes from the frame's pointers, a multiple of 4 */
  readonly lane: number
  /** values computed here so far */
  readonly known: Map<Node, Local>
  /** where the four lanes after these come next: what was loaded for both */
  readonly bytes?: LoadedBytes
}

/** Bytes loaded eight at a time, as 16-bit lanes: by the load, in locals that live on for the next position. */
export class LoadedBytes {
  readonly #f: FunctionBuilder
  readonly #scope: LocalScope | undefined
  readonly #known = new Map<Node, Local>()

  constructor(f: FunctionBuilder) {
    this.#f = f
    this.#scope = f.scope
  }

  get(node: Node): Local | undefined {
    return this.#known.get(node)
  }

  keep(node: Node, value: Instruction): Local {
    const local = this.#f.localOf(this.#scope, 'v128', 'bytes')
    this.#f.emit(set(local, value))
    this.#known.set(node, local)
    return local
  }
}

/** What one row of a pass has ready before its lanes. `index` counts rows from the frame's row, for passes over several rows at once. */
export interface RowFrame {
  readonly index: number
  readonly hoists: Hoists
}

/**
 * The state of one pass while it is emitted: which axis its lanes run along, its pointers into scratch, and the values
 * hoisted before the pass and before each row.
 */
export class PassFrame {
  readonly scope: EmitScope
  readonly rows: number
  readonly cols: number
  /** lanes are elements of a row, or, for a row vector, its rows */
  readonly laneAxis: 'rows' | 'cols'
  readonly hoists: Hoists
  /** scalars of the pass, computed before its vectors */
  readonly uniforms: Hoists
  /** pointers that move with the lanes, and start anew in each row unless they move on with the rows */
  readonly laneAdvances: Advance[] = []
  /** by row stride: pointers that go through the rows of tiles */
  readonly tilePointers = new Map<number, Local>()
  readonly rowAdvances: Advance[] = []
  readonly decisions: ReadonlyMap<Node, boolean>
  readonly rowCounter: Local

  constructor(scope: EmitScope, rows: number, cols: number, decisions: ReadonlyMap<Node, boolean>) {
    this.scope = scope
    this.rows = rows
    this.cols = cols
    this.laneAxis = cols === 1 ? 'rows' : 'cols'
    this.hoists = new Hoists(scope.f)
    this.uniforms = new Hoists(scope.f)
    this.decisions = decisions
    this.rowCounter = scope.f.local('i32', 'row')
  }

  get outerCount(): number {
    return this.laneAxis === 'cols' ? this.rows : 1
  }

  get laneCount(): number {
    return this.laneAxis === 'cols' ? this.cols : this.rows
  }

  /** Emitters of mathematics whose constants are hoisted before the pass. */
  get math(): VectorMath {
    const { f, relaxed } = this.scope
    return {
      constant: (value) =>
        get(this.hoists.once(`f ${Object.is(value, -0) ? '-0' : value}`, 'v128', 'constant', () => f32x4(value))),
      integer: (value) => get(this.hoists.once(`i ${value}`, 'v128', 'constant', () => i32x4(value))),
      multiplyAdd: (a, b, c) => multiplyAdd(relaxed, a, b, c),
      share: (value) => {
        const local = f.let(value, 'lanes')
        return () => get(local)
      },
    }
  }

  /** All lanes equal to a scalar. */
  splat(node: Node): Instruction {
    return get(this.hoists.once(node, 'v128', 'splat', () => toLanes(node, scalarValue(this.scope, node))))
  }

  /** A scalar's value, kept in a local of the pass. */
  scalar(node: Node): Instruction {
    const value = () => scalarValue(this.scope, node)
    return get(this.uniforms.once(node, localType(node), 'uniform', value))
  }

  /** The bytes of a table, in a local: engines make a constant anew wherever it stands. */
  table(bytes: readonly number[]): Local {
    return this.hoists.once(`table ${bytes}`, 'v128', 'table', () => i8x16(bytes))
  }

  /** The row's index within the pass. */
  rowIndex(row: RowFrame): Instruction {
    if (this.outerCount === 1) return i32(row.index)
    return row.index === 0 ? get(this.rowCounter) : op('i32.add', get(this.rowCounter), i32(row.index))
  }

  /** The lanes of a value that lies in scratch, whatever way its shape stands to the pass's. */
  read(node: Node, slot: Slot, at: Position): Instruction {
    if (isScalar(node))
      return get(
        this.hoists.once(slot, 'v128', 'splat', () =>
          load('v128.load32_splat', get(this.scope.scratch), slot.storage.offset),
        ),
      )
    const { offset } = slot.storage
    if (this.laneAxis === 'rows') return load('v128.load', get(this.rowTile(4)), offset + at.lane * 4)
    if (node.cols === 1) {
      const pointer = this.outerCount === 1 ? get(this.scope.scratch) : get(this.#perRow(4))
      return get(
        at.row.hoists.once(slot, 'v128', 'row', () => load('v128.load32_splat', pointer, offset + at.row.index * 4)),
      )
    }
    if (node.rows === 1) return load('v128.load', get(this.columnPointer(at.row)), offset + at.lane * 4)
    return load('v128.load', get(this.rowTile(slot.rowStride)), offset + at.row.index * slot.rowStride + at.lane * 4)
  }

  /** Address, less the slot's offset, of this position in a slot of the pass's own shape; to add as a constant offset. */
  address(slot: Slot, at: Position): { pointer: Instruction; offset: number } {
    const stride = this.laneAxis === 'rows' ? 4 : slot.rowStride
    return {
      pointer: get(this.rowTile(stride)),
      offset: slot.storage.offset + (this.laneAxis === 'rows' ? 0 : at.row.index * stride) + at.lane * 4,
    }
  }

  /** One element of a row vector, at the pass's row. */
  rowElement(slot: Slot, row: RowFrame): { pointer: Instruction; offset: number } {
    const pointer = this.outerCount === 1 ? get(this.scope.scratch) : get(this.#perRow(4))
    return { pointer, offset: slot.storage.offset + row.index * 4 }
  }

  /** A pointer through tiles of one row stride: moves with the lanes, and on to the next row. */
  rowTile(stride: number): Local {
    let local = this.tilePointers.get(stride)
    if (!local) {
      local = this.hoists.once(`tile ${stride}`, 'i32', 'tile', () => get(this.scope.scratch))
      this.tilePointers.set(stride, local)
      this.laneAdvances.push({ local, step: 4 })
    }
    return local
  }

  /** A pointer that moves with the lanes and starts again in each row. */
  columnPointer(row: RowFrame): Local {
    return this.perRowPointer(row, 'column', 'column', 4, () => get(this.scope.scratch))
  }

  perRowPointer(row: RowFrame, key: unknown, name: string, bytesPerLane: number, start: () => Instruction): Local {
    let fresh = false
    const local = row.hoists.once(key, 'i32', name, () => {
      fresh = true
      return start()
    })
    if (fresh) this.laneAdvances.push({ local, step: bytesPerLane })
    return local
  }

  /** Address of this position in a slot that has one row for all rows of the pass. */
  columnAddress(slot: Slot, at: Position): { pointer: Instruction; offset: number } {
    return { pointer: get(this.columnPointer(at.row)), offset: slot.storage.offset + at.lane * 4 }
  }

  /** Are all lanes of this contiguous access inside the last dimension, whatever the arguments? */
  alwaysInside(access: Access): boolean {
    const last = access.dims.length - 1
    const [dim, size] = [access.dims[last], access.tensor.sizes[last]]
    return (
      dim?.kind === 'range' &&
      dim.base.op === 'const' &&
      typeof size === 'number' &&
      dim.base.value >= 0 &&
      dim.base.value + this.laneCount <= size
    )
  }

  /** The index along the lanes of each of the four. */
  laneNumbers(at: Position): Instruction {
    const first = op('i32x4.splat', op('i32.add', this.laneIndex(at.row), i32(at.lane)))
    return op('i32x4.add', first, i32x4([0, 1, 2, 3]))
  }

  /** The number of the pointers' first lane within the row. */
  laneIndex(row: RowFrame): Instruction {
    return get(this.perRowPointer(row, 'lane', 'lane', 1, () => i32(0)))
  }

  #perRow(step: number): Local {
    let fresh = false
    const local = this.hoists.once(`rows ${step}`, 'i32', 'rows', () => {
      fresh = true
      return get(this.scope.scratch)
    })
    if (fresh) this.rowAdvances.push({ local, step })
    return local
  }
}
