import { isFloat } from '../../ir/dtype.ts'
import { isScalar, type Node, type ReduceNode } from '../../ir/node.ts'
import {
  f32x4,
  get,
  type Instruction,
  i32x4,
  type Local,
  load,
  onLane,
  op,
  set,
  shuffle32,
  store,
} from '../assembler/instruction.ts'
import { isElementwise } from '../plan/node-class.ts'
import type { PassOperation, PassRoot } from '../plan/operation.ts'
import type { Slot } from '../plan/slot.ts'
import { isContiguous, storeLanes } from './emit-access.ts'
import { laneEmitter } from './emit-lanes.ts'
import { type EmitScope, localType } from './emit-scope.ts'
import { emitVariants } from './emit-variants.ts'
import type { PassFrame, Position, RowFrame } from './pass-frame.ts'
import { reachable } from './pass-reach.ts'
import { walkRows } from './walk-rows.ts'

/** One pass: for each row, for each four lanes, all roots; in variants where conditions or bounds ask for it. */
export function emitPass(scope: EmitScope, pass: PassOperation): void {
  emitVariants(
    scope,
    pass,
    (decisions) => reachable(scope.plan, pass, decisions),
    (frame, inside, weight) => emitRoots(frame, pass.roots, inside, weight),
  )
}

function emitRoots(frame: PassFrame, roots: readonly PassRoot[], inside: boolean, weight: number): void {
  const { scope } = frame
  const { f, slots } = scope
  const own = new Set(roots.filter((root) => root.kind === 'value').map((root) => root.node))
  const lanes = laneEmitter(frame, { own, inside })
  const reductions = roots
    .filter((root) => root.kind === 'reduce')
    .map(({ node }) => new Reduction(frame, node, weight))

  const compute = (at: Position, count: number) => {
    const pending: (() => void)[] = []
    for (const root of roots) {
      if (root.kind === 'value') {
        const slot = slots.plain.get(root.node) as Slot
        const kept = unchanged(frame, root.node, slot)
        const local = f.let(kept ? frame.read(root.node, slot, at) : lanes(root.node, at), 'value')
        at.known.set(root.node, local)
        const { pointer, offset } = frame.address(slot, at)
        if (!kept) pending.push(() => f.emit(store('v128.store', pointer, get(local), offset)))
      } else if (root.kind === 'store') {
        const access = scope.plan.accesses.of(root.node)
        const contiguous = isContiguous(access, frame.laneAxis) && (inside || frame.alwaysInside(access))
        const local = f.let(lanes(root.node.value, at), 'value')
        pending.push(() => storeLanes(frame, root.node, get(local), at, lanes, contiguous, count))
      } else reductions.find((reduction) => reduction.node === root.node)?.add(lanes(root.node.x, at), at, count)
    }
    return pending
  }
  walkRows(frame, weight, {
    compute,
    before: () => {
      for (const reduction of reductions) reduction.start()
    },
    beforeRow: (row) => {
      for (const reduction of reductions) reduction.startRow(row)
    },
    afterRow: (row) => {
      for (const reduction of reductions) reduction.finishRow(row)
    },
  })
}

/** Is this value, by the decided selects, what already lies in its slot? */
function unchanged(frame: PassFrame, node: Node, slot: Slot): boolean {
  let value = node
  while (value.op === 'select' && !isScalar(value)) {
    const taken = frame.decisions.get(value.cond)
    if (taken === undefined) return false
    value = taken ? value.a : value.b
    if (value.rows !== node.rows || value.cols !== node.cols) return false
    const source = frame.scope.slots.plain.get(value)
    if (source && source.storage === slot.storage && (!isElementwise(value) || frame.scope.plan.buffered(value)))
      return true
  }
  return false
}

/** A reduction inside a pass: along the lanes it gathers in locals, row by row; across the rows it gathers in its buffer. */
class Reduction {
  readonly node: ReduceNode
  readonly #frame: PassFrame
  readonly #along: boolean
  readonly #sums: Local[]
  #next = 0

  constructor(frame: PassFrame, node: ReduceNode, weight: number) {
    this.node = node
    this.#frame = frame
    this.#along = node.axis === frame.laneAxis
    // a short chain is bound by its own latency: gather in several sums
    const count = this.#along ? (weight > 8 ? 2 : 4) : 0
    this.#sums = Array.from({ length: Math.min(count, Math.ceil(frame.laneCount / 4)) }, () =>
      frame.scope.f.local('v128', 'sum'),
    )
  }

  #slot(): Slot {
    return this.#frame.scope.slots.plain.get(this.node) as Slot
  }

  #identity(): Instruction {
    const { fn, dtype } = this.node
    if (fn === 'sum') return f32x4(0)
    if (isFloat(dtype)) return f32x4(fn === 'max' ? Number.NEGATIVE_INFINITY : Number.POSITIVE_INFINITY)
    if (dtype === 'u32') return i32x4(fn === 'max' ? 0 : -1)
    return i32x4(fn === 'max' ? -0x80000000 : 0x7fffffff)
  }

  #combine(a: Instruction, b: Instruction): Instruction {
    const { fn, dtype } = this.node
    if (isFloat(dtype)) return op(fn === 'sum' ? 'f32x4.add' : fn === 'max' ? 'f32x4.pmax' : 'f32x4.pmin', a, b)
    if (fn === 'sum') return op('i32x4.add', a, b)
    return op(
      dtype === 'u32' ? (fn === 'max' ? 'i32x4.max_u' : 'i32x4.min_u') : fn === 'max' ? 'i32x4.max_s' : 'i32x4.min_s',
      a,
      b,
    )
  }

  start(): void {
    if (this.#along) return
    const { f, scratch } = this.#frame.scope
    const { storage } = this.#slot()
    for (let lane = 0; lane < this.#frame.laneCount; lane += 4)
      f.emit(store('v128.store', get(scratch), this.#identity(), storage.offset + lane * 4))
  }

  startRow(_row: RowFrame): void {
    for (const sum of this.#sums) this.#frame.scope.f.emit(set(sum, this.#identity()))
  }

  add(value: Instruction, at: Position, count: number): void {
    const { f } = this.#frame.scope
    if (this.#along) {
      const sum = this.#sums[this.#next++ % this.#sums.length] as Local
      const mask = i32x4([0, 1, 2, 3].map((lane) => (lane < count ? -1 : 0)) as [number, number, number, number])
      const whole = count === 4 ? value : op('v128.bitselect', value, this.#identity(), mask)
      f.emit(set(sum, this.#combine(get(sum), whole)))
      return
    }
    const slot = this.#slot()
    const { pointer, offset } = this.#frame.columnAddress(slot, at)
    f.emit(store('v128.store', pointer, this.#combine(load('v128.load', pointer, offset), value), offset))
  }

  finishRow(row: RowFrame): void {
    if (!this.#along) return
    const { f, scalars } = this.#frame.scope
    let all = this.#sums.map(get)
    while (all.length > 1)
      all = all.flatMap((sum, index) =>
        index % 2 === 1 ? [this.#combine(all[index - 1] as Instruction, sum)] : index === all.length - 1 ? [sum] : [],
      )
    const total = f.let(all[0] as Instruction, 'total')
    f.emit(set(total, this.#combine(get(total), shuffle32(get(total), get(total), [2, 3, 0, 1]))))
    f.emit(set(total, this.#combine(get(total), shuffle32(get(total), get(total), [1, 0, 3, 2]))))
    if (isScalar(this.node)) {
      const local = scalars.get(this.node) ?? f.localOf(undefined, localType(this.node), 'reduced')
      scalars.set(this.node, local)
      f.emit(set(local, onLane(local.type === 'f32' ? 'f32x4.extract_lane' : 'i32x4.extract_lane', 0, [get(total)])))
      return
    }
    const { pointer, offset } = this.#frame.rowElement(this.#slot(), row)
    f.emit(onLane('v128.store32_lane', 0, [pointer, get(total)], offset))
  }
}
