import { isFloat } from '../../ir/dtype.ts'
import { isScalar, type LoopNode, type Node } from '../../ir/node.ts'
import { f32x4, get, type Instruction, i32x4, load, set, store } from '../assembler/instruction.ts'
import type { LoopOperation, Operation } from '../plan/operation.ts'
import type { Slot } from '../plan/slot.ts'
import { emitDot } from './emit-dot.ts'
import { emitPass } from './emit-pass.ts'
import { scalarValue } from './emit-scalar.ts'
import { emitScan } from './emit-scan.ts'
import { type EmitScope, localType } from './emit-scope.ts'
import { emitStreamedDot } from './emit-streamed-dot.ts'
import { emitTranspose } from './emit-transpose.ts'

/** Emits operations in order. */
export function emitOperations(scope: EmitScope, operations: readonly Operation[]): void {
  for (const operation of operations) {
    switch (operation.kind) {
      case 'pass':
        emitPass(scope, operation)
        break
      case 'transpose':
        emitTranspose(scope, operation)
        break
      case 'scalar':
        emitScalar(scope, operation.node)
        break
      case 'dot':
        if (scope.plan.streamed.has(operation.node.b)) emitStreamedDot(scope, operation)
        else emitDot(scope, operation)
        break
      case 'scan':
        emitScan(scope, operation.node)
        break
      case 'loop':
        emitLoop(scope, operation)
        break
      default:
        operation satisfies never
    }
  }
}

function emitScalar(scope: EmitScope, node: Node): void {
  const { f } = scope
  const value = scalarValue(scope, node)
  const local = scope.scalars.get(node) ?? f.localOf(undefined, localType(node), 'scalar')
  scope.scalars.set(node, local)
  f.emit(set(local, value))
}

/** A loop: carried scalars are locals, carried tiles have a buffer that starts as the initial value and ends as the result. */
function emitLoop(scope: EmitScope, { node, body }: LoopOperation): void {
  const { f, scalars, slots } = scope
  const tiles = node.args.map((arg, at) => ({ arg, at })).filter(({ arg }) => !isScalar(arg))
  const scalarArgs = node.args.map((arg, at) => ({ arg, at })).filter(({ arg }) => isScalar(arg))
  const slotOf = (value: Node) => slots.plain.get(value) as Slot

  for (const { arg, at } of tiles) place(scope, node.inits[at] as Node, slotOf(arg))
  assign(
    scope,
    scalarArgs.map(({ arg, at }) => ({ to: arg, value: node.inits[at] as Node })),
  )
  const index = f.localOf(undefined, 'i32', 'index')
  const end = f.localOf(undefined, 'i32', 'end')
  scalars.set(node.index, index)
  f.emit(set(end, scalarValue(scope, node.to)))
  for (const used of scope.plan.uses.uses.keys()) {
    const local = used.op === 'result' && used.loop === node ? scalars.get(node.args[used.at] as Node) : undefined
    if (local) scalars.set(used, local)
  }
  f.forRange(index, scalarValue(scope, node.from), get(end), node.step, () => {
    emitOperations(scope, body)
    advanceTiles(scope, node, tiles)
    assign(
      scope,
      scalarArgs.map(({ arg, at }) => ({ to: arg, value: node.results[at] as Node })),
    )
  })
}

/** Sets carried scalars together: each new value is computed from the old ones. */
function assign(scope: EmitScope, list: readonly { to: Node; value: Node }[]): void {
  const { f, scalars } = scope
  f.scoped(() => {
    const fresh = list.map(({ value }) => f.let(scalarValue(scope, value), 'next'))
    list.forEach(({ to }, index) => {
      const local = scalars.get(to) ?? f.localOf(undefined, localType(to), 'carried')
      scalars.set(to, local)
      f.emit(set(local, get(fresh[index] as NonNullable<(typeof fresh)[number]>)))
    })
  })
}

/** Copies results that were not computed in place to where the next round reads them. */
function advanceTiles(scope: EmitScope, node: LoopNode, tiles: readonly { arg: Node; at: number }[]): void {
  const { slots } = scope
  const moves = tiles
    .map(({ arg, at }) => ({ arg, result: node.results[at] as Node }))
    .filter(({ arg, result }) => result !== arg)
  // a result that is another carried value is saved before that one changes
  const saved = moves.map(({ result }) =>
    result.op === 'arg' && node.args.includes(result) ? slots.saved.get(result) : undefined,
  )
  moves.forEach(({ result }, index) => {
    const slot = saved[index]
    if (slot) copy(scope, slots.plain.get(result) as Slot, slot)
  })
  moves.forEach(({ arg, result }, index) => {
    const [slot, home] = [saved[index], slots.plain.get(arg) as Slot]
    if (slot) copy(scope, slot, home)
    else place(scope, result, home)
  })
}

/** Puts a value into a slot, unless it lies there already. */
function place(scope: EmitScope, value: Node, home: Slot): void {
  if (value.op === 'const') {
    fill(
      scope,
      home,
      isFloat(value.dtype) ? f32x4(value.value) : i32x4(value.dtype === 'bool' ? -value.value : value.value),
    )
    return
  }
  const slot = scope.slots.plain.get(value) as Slot
  if (slot.storage !== home.storage) copy(scope, slot, home)
}

function fill(scope: EmitScope, home: Slot, lanes: Instruction): void {
  eachVector(scope, home, (pointer, offset) => store('v128.store', pointer, lanes, home.storage.offset + offset))
}

function copy(scope: EmitScope, from: Slot, to: Slot): void {
  eachVector(scope, to, (pointer, offset) =>
    store('v128.store', pointer, load('v128.load', pointer, from.storage.offset + offset), to.storage.offset + offset),
  )
}

function eachVector(
  { f, scratch }: EmitScope,
  slot: Slot,
  write: (pointer: Instruction, offset: number) => Instruction,
): void {
  const vectors = Math.ceil((slot.cols === 1 ? slot.rows * 4 : slot.rows * slot.rowStride) / 16)
  f.scoped(() => {
    const pointer = f.let(get(scratch), 'vector')
    const unroll = vectors < 8 ? 1 : 4
    f.repeat(Math.floor(vectors / unroll), [[pointer, 16 * unroll]], () => {
      for (let index = 0; index < unroll; index++) f.emit(write(get(pointer), index * 16))
    })
    for (let index = 0; index < vectors % unroll; index++) f.emit(write(get(pointer), index * 16))
  })
}
