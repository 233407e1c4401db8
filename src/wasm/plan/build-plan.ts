import { type DotNode, isScalar, type LoopNode, type Node, type StoreNode, type TensorParam } from '../../ir/node.ts'
import type { Program, Region } from '../../ir/schedule.ts'
import { AccessTable } from './access.ts'
import { type FusedDots, findFusedDots } from './fused-dots.ts'
import { isElementwise, isImmediate, valueInputs, walkedShape } from './node-class.ts'
import type { Operation, PassOperation, PassRoot } from './operation.ts'
import { findStreamedDots } from './streamed-dots.ts'
import { collectUses, needsBuffer, type ProgramUses } from './uses.ts'

/** A program as operations in order, with the values that live in buffers. */
export interface Plan {
  readonly operations: readonly Operation[]
  readonly accesses: AccessTable
  readonly uses: ProgramUses
  readonly fused: FusedDots
  /** right operands of products that are computed as they are used, without a buffer */
  readonly streamed: ReadonlyMap<Node, DotNode>
  /** does this value live in a buffer? */
  buffered(node: Node): boolean
  /** the nodes that a node is computed from; ranges of indices count as their scalar base */
  inputsOf(node: Node): readonly Node[]
  /** the computed values (buffers, scalars, loop variables) that the lanes of these nodes are made from */
  sourcesOf(nodes: readonly Node[]): ReadonlySet<Node>
}

/** An operation and how many others must come before it: operations are ordered by level, then by age. */
interface Levelled {
  readonly operation: Operation
  readonly level: number
}

/**
 * Orders a program into operations. Element-wise values are computed inside the pass that needs them; a value gets a buffer
 * when several passes, another shape, an inner loop, or an operation on whole buffers reads it. Roots of one shape share a
 * pass where their inputs allow it.
 */
export function buildPlan(program: Program): Plan {
  const accesses = new AccessTable()
  const facts = collectUses(program, accesses)
  const fused = findFusedDots(program, facts)
  const { operands: streamed, loads: streamedLoads } = findStreamedDots(facts, accesses)
  // several roots of one pass may use a value: then it is a local of that pass after all
  const localOnly = new Set<Node>()
  const buffered = (node: Node) =>
    !localOnly.has(node) &&
    !fused.absorbed.has(node) &&
    !streamed.has(node) &&
    !streamedLoads.has(node) &&
    (fused.sums.has(node) || needsBuffer(node, facts) || spilledScalar(node))
  const spilledScalar = (node: Node) =>
    isScalar(node) &&
    (facts.uses.get(node) ?? []).some(({ by, kind }) => kind !== 'lanes' && (by.op === 'dot' || by.op === 'scan'))
  const computedAlone = (node: Node) => !isElementwise(node) || fused.sums.has(node)
  const isSource = (node: Node) => computedAlone(node) || buffered(node) || (isScalar(node) && facts.home.has(node))
  const transposedUse = (node: Node) =>
    !streamed.has(node) && (facts.uses.get(node) ?? []).some((use) => use.kind === 'transposed')

  // the computed values that the lanes of `node` are made from
  const gather = (nodes: readonly Node[], into: Set<Node>) => {
    for (const node of nodes) {
      if (isImmediate(node)) continue
      if (isSource(node)) into.add(node)
      else gather(valueInputs(node, accesses), into)
    }
  }
  const sourcesOf = (nodes: readonly Node[]) => {
    const found = new Set<Node>()
    gather(nodes, found)
    return found
  }
  const shared: Operation[] = []
  const sharedDone = new Set<Node>()
  // constants and index ranges that someone reads as a buffer are written once, at the start of the program
  const shareOnce = (node: Node) => {
    if ((node.op !== 'iota' && node.op !== 'const' && node.op !== 'scalar') || sharedDone.has(node)) return
    sharedDone.add(node)
    shared.push({ kind: 'pass', rows: node.rows, cols: node.cols, roots: [{ kind: 'value', node }] })
    if (transposedUse(node)) shared.push({ kind: 'transpose', source: node, node: null })
  }

  const planRegion = (region: Region, loop: LoopNode | null): { operations: Operation[]; external: Set<Node> } => {
    const list: Levelled[] = []
    const levels = new Map<Node, number>()
    const transposed = new Map<Node, number>()
    const passes: { operation: PassOperation; level: number; sources: Set<Node> }[] = []
    const passOf = new Map<Node, PassOperation>()
    const external = new Set<Node>()
    const stored = new Map<TensorParam, number>()
    let barrier = 0

    const own = (node: Node) => (levels.has(node) ? (levels.get(node) as number) : 0)
    const note = (sources: Iterable<Node>) => {
      for (const source of sources) {
        shareOnce(source)
        if (!levels.has(source)) external.add(source)
      }
    }
    const after = (sources: Iterable<Node>) => Math.max(0, ...[...sources].map((source) => own(source))) + 1
    const add = (operation: Operation, level: number) => list.push({ operation, level })

    const addRoot = (root: PassRoot) => {
      const { node } = root
      // a reduction walks what it reduces; its result, written as a buffer, has its own shape
      const { rows, cols } = root.kind === 'reduce' ? walkedShape(node) : node
      const sources = sourcesOf(valueInputs(node, accesses))
      if (root.kind === 'value' && isScalar(node)) sources.add(node)
      note(sources)
      const lowest = root.kind === 'store' ? Math.max(barrier, stored.get(root.node.tensor) ?? 0) + 1 : 1
      const fits = ({ operation, level, sources: present }: (typeof passes)[number]) => {
        if (operation.rows !== rows || operation.cols !== cols || level < lowest) return false
        const ready = [...sources].every((source) =>
          passOf.get(source) === operation
            ? isElementwise(source) && source.rows === rows && source.cols === cols
            : own(source) < level,
        )
        // passes with nothing in common stay apart: together they only crowd the registers
        return (
          ready &&
          (rows === 1 ||
            cols === 1 ||
            [...sources].some((source) => present.has(source) || passOf.get(source) === operation))
        )
      }
      let target = passes.filter(fits).sort((x, y) => x.level - y.level)[0]
      if (!target) {
        target = {
          operation: { kind: 'pass', rows, cols, roots: [] },
          level: Math.max(after(sources), lowest),
          sources: new Set(),
        }
        passes.push(target)
        add(target.operation, target.level)
      }
      target.operation.roots.push(root)
      for (const source of sources) target.sources.add(source)
      levels.set(node, target.level)
      passOf.set(node, target.operation)
      if (root.kind === 'store') stored.set(root.node.tensor, target.level)
    }
    const addTransposed = (node: Node) => {
      if (!transposedUse(node) || transposed.has(node)) return
      const sources = isSource(node) ? new Set([node]) : sourcesOf(valueInputs(node, accesses))
      note(sources)
      const level = after(sources)
      transposed.set(node, level)
      add({ kind: 'transpose', source: node, node: null }, level)
    }
    const addValue = (node: Node) => {
      if (!facts.uses.has(node) || fused.absorbed.has(node)) return
      const sum = fused.sums.get(node)
      const dot = sum?.dot ?? (node.op === 'dot' ? node : null)
      if (dot) {
        const reads = new Set([
          dot.a,
          ...(streamed.has(dot.b) ? sourcesOf([dot.b]) : [dot.b]),
          ...(sum ? [sum.base] : []),
          ...(sum?.factor ? sourcesOf([sum.factor]) : []),
        ])
        note(reads)
        const level = Math.max(after(reads), (transposed.get(dot.b) ?? 0) + 1)
        add({ kind: 'dot', node: dot, out: node, start: sum ? { base: sum.base, factor: sum.factor } : null }, level)
        levels.set(node, level)
      } else if (node.op === 'scan' && !isScalar(node)) {
        note([node.x])
        const level = after([node.x])
        add({ kind: 'scan', node }, level)
        levels.set(node, level)
      } else if (node.op === 'transpose' && !isScalar(node)) {
        const sources = sourcesOf([node.x])
        note(sources)
        const level = after(sources)
        add({ kind: 'transpose', source: node.x, node }, level)
        levels.set(node, level)
      } else if (node.op === 'reduce' && !isElementwise(node)) {
        addRoot({ kind: 'reduce', node })
        if (isScalar(node) && buffered(node)) addRoot({ kind: 'value', node })
      } else if (isScalar(node)) {
        const sources = sourcesOf(valueInputs(node, accesses))
        note(sources)
        const level = after(sources)
        add({ kind: 'scalar', node }, level)
        levels.set(node, level)
        if (buffered(node)) addRoot({ kind: 'value', node })
      } else if (buffered(node)) addRoot({ kind: 'value', node })
      addTransposed(node)
    }
    // what a loop variable is besides itself: a buffer for a scalar that a product reads, a transpose
    const addForms = (node: Node) => {
      if (isScalar(node) && spilledScalar(node)) addRoot({ kind: 'value', node })
      addTransposed(node)
    }
    const addLoop = (inner: LoopNode, body: Region) => {
      if (!facts.uses.has(inner) && inner.effects.length === 0) return
      const planned = planRegion(body, inner)
      const reads = sourcesOf([inner.from, inner.to, ...inner.inits.filter((init) => init.op !== 'const')])
      for (const source of planned.external) if (facts.home.get(source) !== facts.regions.get(inner)) reads.add(source)
      note(reads)
      const level = Math.max(after(reads), inner.effects.length > 0 ? Math.max(barrier, ...stored.values()) + 1 : 1)
      if (inner.effects.length > 0) barrier = level
      add({ kind: 'loop', node: inner, body: planned.operations }, level)
      levels.set(inner, level)
      for (const node of facts.uses.keys()) {
        if (node.op !== 'result' || node.loop !== inner) continue
        levels.set(node, level)
        addForms(node)
      }
    }

    if (loop) {
      for (const arg of [loop.index, ...loop.args]) levels.set(arg, 0)
      for (const arg of loop.args) addForms(arg)
    }
    for (const statement of region.statements) {
      if (statement.kind === 'value') addValue(statement.node)
      else if (statement.kind === 'store') addRoot({ kind: 'store', node: statement.store as StoreNode })
      else addLoop(statement.loop, statement.body)
    }
    if (loop) {
      const results = sourcesOf(loop.results.filter((result) => result.op !== 'const'))
      note(results)
    }
    for (const { operation } of passes) keepLocal(operation, passOf)
    const operations = list.filter(({ operation }) => operation.kind !== 'pass' || operation.roots.length > 0)
    return { operations: operations.sort((x, y) => x.level - y.level).map((entry) => entry.operation), external }
  }

  // drops the buffers of values that only their own pass reads
  const keepLocal = (pass: PassOperation, passOf: ReadonlyMap<Node, PassOperation>) => {
    const rootNodes = new Set<Node>(pass.roots.map((root) => root.node))
    const readHere = (node: Node): boolean =>
      (facts.uses.get(node) ?? []).every(({ by, kind }) => {
        if (kind !== 'lanes' || by.op === 'loop' || by.op === 'transpose') return false
        const shape = walkedShape(by)
        if (
          shape.rows !== pass.rows ||
          shape.cols !== pass.cols ||
          facts.home.get(by) !== facts.home.get(node) ||
          fused.absorbed.has(by)
        )
          return false
        return rootNodes.has(by) ? passOf.get(by) === pass : isElementwise(by) && !isSource(by) && readHere(by)
      })
    for (let index = pass.roots.length - 1; index >= 0; index--) {
      const root = pass.roots[index] as PassRoot
      if (root.kind !== 'value' || isScalar(root.node) || !readHere(root.node)) continue
      localOnly.add(root.node)
      pass.roots.splice(index, 1)
    }
  }

  const { operations } = planRegion(program.body, null)
  return {
    operations: [...shared, ...operations],
    accesses,
    uses: facts,
    fused,
    streamed,
    buffered,
    sourcesOf,
    inputsOf: (node) => valueInputs(node, accesses),
  }
}
