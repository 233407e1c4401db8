import { isScalar, type LoopNode, type Node } from '../../ir/node.ts'
import type { Plan } from './build-plan.ts'
import type { Operation } from './operation.ts'
import { makeSlot, placeStorages, type Slot, type Storage } from './slot.ts'

/** The scratch of a program: where each buffered value lies. */
export interface Slots {
  /** the row-major form of a value */
  readonly plain: ReadonlyMap<Node, Slot>
  /** the transposed form of an operand of `dot` */
  readonly transposed: ReadonlyMap<Node, Slot>
  /** carried values that become another carried value, kept while those change */
  readonly saved: ReadonlyMap<Node, Slot>
  readonly bytes: number
}

interface Span {
  readonly start: number
  readonly end: number
}

/** Gives every buffered value its place from `base` on: values reuse the scratch of values that are no longer needed. */
export function assignSlots(plan: Plan, base: number): Slots {
  const plain = new Map<Node, Slot>()
  const transposed = new Map<Node, Slot>()
  const saved = new Map<Node, Slot>()
  const spans = numberOperations(plan.operations)
  const regionLoop = (node: Node) =>
    node.op === 'iota' || node.op === 'const' ? null : (plan.uses.home.get(node)?.loop ?? null)
  const isBuffer = (node: Node) =>
    plan.buffered(node) || (!isScalar(node) && (node.op === 'arg' || node.op === 'result'))
  const slotOf = (node: Node, map: Map<Node, Slot> = plain): Slot => {
    const known = map.get(node)
    if (known) return known
    const slot = map === transposed ? makeSlot(node.cols, node.rows) : makeSlot(node.rows, node.cols)
    map.set(node, slot)
    return slot
  }
  const touch = (storage: Storage, at: number) => {
    storage.start = Math.min(storage.start, at)
    storage.end = Math.max(storage.end, at)
  }

  // who reads each value
  const reads = new Map<Slot, Operation[]>()
  const walk = (operations: readonly Operation[], nest: readonly { loop: LoopNode; span: Span }[]) => {
    for (const operation of operations) {
      const span = spans.get(operation) as Span
      const write = (slot: Slot) => {
        touch(slot.storage, span.start)
      }
      const read = (node: Node, slot: Slot) => {
        const home = regionLoop(node)
        const depth = home === null ? 0 : nest.findIndex((entry) => entry.loop === home) + 1
        const at = nest[depth]?.span.end ?? (operation.kind === 'loop' ? span.start : span.end)
        touch(slot.storage, at)
        const known = reads.get(slot)
        if (known) known.push(operation)
        else reads.set(slot, [operation])
      }
      for (const node of readsOf(operation, plan)) if (isBuffer(node)) read(node, slotOf(node))
      if (operation.kind === 'dot' && operation.node.transposeB && !plan.streamed.has(operation.node.b))
        read(operation.node.b, slotOf(operation.node.b, transposed))
      for (const node of writesOf(operation))
        if (isBuffer(node) || (operation.kind === 'dot' && node === operation.out)) write(slotOf(node))
      if (operation.kind === 'transpose' && !operation.node) write(slotOf(operation.source, transposed))
      if (operation.kind !== 'loop') continue
      const { node: loop } = operation
      for (const arg of loop.args) {
        if (isScalar(arg)) continue
        const { storage } = slotOf(arg)
        touch(storage, span.start)
        touch(storage, span.end)
      }
      for (const node of plan.uses.uses.keys())
        if (node.op === 'result' && node.loop === loop && !isScalar(node))
          shareStorage(slotOf(node), slotOf(loop.args[node.at] as Node))
      walk(operation.body, [...nest, { loop, span }])
      // the values that the next round starts from are read when a round ends
      for (const result of loop.results) {
        if (isScalar(result) || result.op === 'const') continue
        if (loop.args.includes(result as (typeof loop.args)[number])) touch(slotOf(result, saved).storage, span.end)
        const slot = slotOf(result)
        reads.set(slot, [...(reads.get(slot) ?? []), operation])
        const at =
          regionLoop(result) === loop
            ? span.end
            : (nest[nest.findIndex((entry) => entry.loop === regionLoop(result)) + 1]?.span.end ?? span.end)
        touch(slot.storage, at)
      }
    }
  }
  const shareStorage = (slot: Slot, other: Slot) => {
    const old = slot.storage
    if (old === other.storage) return
    other.storage.start = Math.min(other.storage.start, old.start)
    other.storage.end = Math.max(other.storage.end, old.end)
    for (const map of [plain, transposed])
      for (const member of map.values()) if (member.storage === old) member.storage = other.storage
  }
  walk(plan.operations, [])

  // a carried value starts in the place of its initial value where nothing else reads that
  const shareInits = (operations: readonly Operation[], inside: LoopNode | null) => {
    for (const operation of operations) {
      if (operation.kind !== 'loop') continue
      operation.node.inits.forEach((init, index) => {
        const arg = operation.node.args[index] as Node
        if (isScalar(init) || init.op === 'const' || init.op === 'iota') return
        const slot = slotOf(init)
        const onlyHere =
          reads.get(slot)?.length === 1 && operation.node.inits.filter((other) => other === init).length === 1
        if (onlyHere && regionLoop(init) === inside && (inside === null || !inside.results.includes(init)))
          shareStorage(slotOf(arg), slot)
      })
      shareInits(operation.body, operation.node)
    }
  }
  shareInits(plan.operations, null)

  // a result is computed in the place of its carried value where that has been read by then
  const settled = new Set<Slot>()
  const shareResults = (operations: readonly Operation[]) => {
    for (const operation of operations) {
      if (operation.kind !== 'loop') continue
      shareResults(operation.body)
      operation.node.results.forEach((result, index) => {
        const arg = operation.node.args[index] as Node
        if (
          isScalar(arg) ||
          result.op === 'arg' ||
          result.op === 'result' ||
          result.op === 'const' ||
          result.op === 'iota'
        )
          return
        const [slot, carried] = [slotOf(result), slotOf(arg)]
        const maker = operation.body.find((candidate) => writesOf(candidate).includes(result))
        if (!maker || settled.has(slot) || operation.node.results.includes(arg)) return
        const at = (spans.get(maker) as Span).start
        const safe = (reads.get(carried) ?? []).every((reader) =>
          reader === maker ? overwritesInPlace(maker, result, arg, plan) : (spans.get(reader) as Span).end < at,
        )
        if (!safe) return
        shareStorage(slot, carried)
        settled.add(slot)
      })
    }
  }
  shareResults(plan.operations)

  // a value replaces, element by element, one that is read for the last time in the same operation
  const shareInPlace = (operations: readonly Operation[], inside: LoopNode | null) => {
    for (const operation of operations) {
      if (operation.kind === 'loop') shareInPlace(operation.body, operation.node)
      const taken = new Set<Storage>()
      for (const node of writesOf(operation)) {
        const slot = plain.get(node)
        if (!slot || isScalar(node) || settled.has(slot) || inside?.results.includes(node)) continue
        const { start } = spans.get(operation) as Span
        const source = readsOf(operation, plan).find((candidate) => {
          const other = plain.get(candidate)
          if (
            !other ||
            candidate === node ||
            regionLoop(candidate) !== inside ||
            candidate.op === 'iota' ||
            candidate.op === 'const'
          )
            return false
          const free = other.storage.end === start && !taken.has(other.storage) && other.storage !== slot.storage
          return (
            free &&
            other.rows === slot.rows &&
            other.cols === slot.cols &&
            overwritesInPlace(operation, node, candidate, plan)
          )
        })
        if (!source) continue
        shareStorage(slot, slotOf(source))
        taken.add(slot.storage)
        settled.add(slot)
      }
    }
  }
  shareInPlace(plan.operations, null)

  const storages = new Set([...plain.values(), ...transposed.values(), ...saved.values()].map((slot) => slot.storage))
  return { plain, transposed, saved, bytes: placeStorages(storages, base) }
}

/** Does this operation read each element of `old` no later than it writes that element of `fresh`? */
function overwritesInPlace(operation: Operation, fresh: Node, old: Node, plan: Plan): boolean {
  if (operation.kind === 'pass')
    return (
      operation.roots.some((root) => root.node === fresh && root.kind === 'value') &&
      operation.rows === old.rows &&
      operation.cols === old.cols
    )
  if (operation.kind !== 'dot' || operation.start?.base !== old) return false
  const { a, b } = operation.node
  const right = plan.streamed.has(b) ? plan.sourcesOf([b]) : new Set([b])
  return a !== old && !right.has(old) && operation.start.factor !== old
}

function numberOperations(operations: readonly Operation[]): Map<Operation, Span> {
  const spans = new Map<Operation, Span>()
  let position = 0
  const visit = (list: readonly Operation[]) => {
    for (const operation of list) {
      const start = position++
      if (operation.kind === 'loop') visit(operation.body)
      spans.set(operation, { start, end: operation.kind === 'loop' ? position++ : start })
    }
  }
  visit(operations)
  return spans
}

/** The values an operation reads from outside itself; those of a loop's body are read by the operations in it. */
export function readsOf(operation: Operation, plan: Plan): Node[] {
  switch (operation.kind) {
    case 'pass':
      return [
        ...new Set(
          operation.roots.flatMap(({ node }) =>
            node.op === 'const' || node.op === 'iota' ? [] : [...plan.sourcesOf(plan.inputsOf(node))],
          ),
        ),
      ]
    case 'transpose':
      return [...plan.sourcesOf([operation.source])]
    case 'scalar':
      return [...plan.sourcesOf(plan.inputsOf(operation.node))]
    case 'dot': {
      const { node, start } = operation
      return [
        node.a,
        ...(plan.streamed.has(node.b) ? plan.sourcesOf([node.b]) : node.transposeB ? [] : [node.b]),
        ...(start ? [start.base, ...(start.factor ? [start.factor] : [])] : []),
      ]
    }
    case 'scan':
      return [operation.node.x]
    case 'loop':
      return [
        ...plan.sourcesOf([
          operation.node.from,
          operation.node.to,
          ...operation.node.inits.filter((init) => init.op !== 'const'),
        ]),
      ]
    default:
      return operation satisfies never
  }
}

/** The values an operation leaves in buffers. */
export function writesOf(operation: Operation): Node[] {
  switch (operation.kind) {
    case 'pass':
      return operation.roots.filter((root) => root.kind !== 'store').map((root) => root.node)
    case 'transpose':
      return operation.node ? [operation.node] : []
    case 'dot':
      return [operation.out]
    case 'scan':
      return [operation.node]
    case 'scalar':
    case 'loop':
      return []
    default:
      return operation satisfies never
  }
}
