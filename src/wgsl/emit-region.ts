import { isScalar, type Node, type Region, type Statement } from '../ir/index.ts'
import type { LoopNode } from '../ir/node.ts'
import { includes, type PendingAccesses, unionOf } from './barriers.ts'
import { type BranchWork, branchWork } from './branch-work.ts'
import type { Emission } from './emission.ts'
import { emitDot, emitKeptOperand } from './emit-dot.ts'
import { emitReduce } from './emit-reduce.ts'
import { emitScan } from './emit-scan.ts'
import { emitStore } from './emit-store.ts'
import { emitTranspose } from './emit-transpose.ts'
import type { FusedDot } from './fused-dots.ts'
import type { NodeUses } from './node-uses.ts'
import { slotPlace } from './place.ts'
import { renderOperation, renderWide } from './render-value.ts'
import type { TextWriter } from './text-writer.ts'
import { chunkWidth, forEachSlot } from './thread-grid.ts'
import { valueType } from './value-type.ts'
import { isElementWise } from './virtual-values.ts'

/** What the walk over a program needs beside the emission. */
export interface Walk {
  readonly uses: NodeUses
  readonly fused: ReadonlyMap<Node, FusedDot>
  /** dots that are emitted with the sum that reads them */
  readonly absorbed: ReadonlySet<Node>
  /** carried values that live in the variables of the loop around: the loop's argument → the outer one */
  readonly aliases: ReadonlyMap<Node, Node>
}

export function emitRegion(e: Emission, w: TextWriter, region: Region, walk: Walk): void {
  emitStatements(e, w, region.statements, walk)
}

function emitStatements(e: Emission, w: TextWriter, statements: readonly Statement[], walk: Walk): void {
  const branches = branchWork(statements, walk.uses, (node) => !e.isVirtual(node) && !walk.fused.has(node))
  const moved = new Set<Node>()
  for (const work of branches.values()) for (const node of [...work.whenTrue, ...work.whenFalse]) moved.add(node)
  for (const statement of statements) {
    if (statement.kind === 'store') emitStore(e, w, statement.store)
    else if (statement.kind === 'loop') emitLoop(e, w, statement.loop, statement.body, walk)
    else if (!moved.has(statement.node)) {
      const branch = branches.get(statement.node)
      if (branch) emitBranch(e, w, branch, statements, walk)
      else emitValue(e, w, statement.node, walk)
    }
  }
}

function emitValue(e: Emission, w: TextWriter, node: Node, walk: Walk): void {
  if (e.isVirtual(node) || walk.absorbed.has(node)) return
  const sum = walk.fused.get(node)
  if (sum) emitDot(e, w, sum.dot, node, sum.initial)
  else if (node.op === 'dot') emitDot(e, w, node, node, null)
  else if (node.op === 'reduce') emitReduce(e, w, node)
  else if (node.op === 'scan') emitScan(e, w, node)
  else if (node.op === 'transpose') emitTranspose(e, w, node)
  else if (isElementWise(node))
    forEachSlot(e.grid, node, (i, j) =>
      w.line(`let ${e.register(node, i, j)} = ${renderOperation(e, w, node, slotPlace(e.grid, i, j))};`),
    )
  else throw new Error(`emitValue: ${node.op} is no value`)
}

/** A select on a scalar: one branch, with the work that only one side needs inside it. */
function emitBranch(e: Emission, w: TextWriter, work: BranchWork, statements: readonly Statement[], walk: Walk): void {
  const { select } = work
  const width = chunkWidth(select)
  const side = (value: Node, own: ReadonlySet<Node>) => () => {
    emitStatements(
      e,
      w,
      statements.filter((s) => s.kind === 'value' && own.has(s.node)),
      walk,
    )
    forEachSlot(e.grid, select, (i, j) =>
      w.line(`${e.register(select, i, j)} = ${renderWide(e, w, value, slotPlace(e.grid, i, j), width)};`),
    )
  }
  forEachSlot(e.grid, select, (i, j) => w.line(`var ${e.register(select, i, j)}: ${valueType(select.dtype, width)};`))
  w.block(`if (${renderWide(e, w, select.cond, slotPlace(e.grid, 0, 0), 1)})`, side(select.a, work.whenTrue))
  w.block('else', side(select.b, work.whenFalse))
}

function emitLoop(e: Emission, w: TextWriter, loop: LoopNode, body: Region, walk: Walk): void {
  const { uses, aliases } = walk
  for (const dot of uses.dots) {
    const plan = e.dotPlan(dot)
    for (const side of ['a', 'b'] as const) if (plan[side].before === loop) emitKeptOperand(e, w, plan, side)
  }
  const own = loop.args.map((arg, at) => ({ arg, init: loop.inits[at] as Node, next: loop.results[at] as Node }))
  // scalars are read by immutable names in the body, so that addresses made of them may be shared
  const variable = (arg: Node, i: number, j: number) =>
    isScalar(arg) ? `${e.register(arg, i, j)}_next` : e.register(arg, i, j)
  for (const { arg, init } of own) {
    if (aliases.has(arg)) continue
    const width = chunkWidth(arg)
    forEachSlot(e.grid, arg, (i, j) =>
      w.line(
        `var ${variable(arg, i, j)}: ${valueType(arg.dtype, width)} = ${renderWide(e, w, init, slotPlace(e.grid, i, j), width)};`,
      ),
    )
  }
  const place = slotPlace(e.grid, 0, 0)
  const [from, to] = [loop.from, loop.to].map((bound) =>
    w.declare(uniformValue(w, renderWide(e, w, bound, place, 1), isUniform(bound, uses)), 'bound'),
  )
  const index = e.register(loop.index, 0, 0)
  const write = (draft: TextWriter) => {
    for (const { arg } of own) if (isScalar(arg)) draft.line(`let ${e.register(arg, 0, 0)} = ${variable(arg, 0, 0)};`)
    emitRegion(e, draft, body, walk)
    const assignments: [string, string][] = []
    for (const { arg, next } of own) {
      const width = chunkWidth(arg)
      forEachSlot(e.grid, arg, (i, j) => {
        const value = renderWide(e, draft, next, slotPlace(e.grid, i, j), width)
        if (value !== variable(arg, i, j)) assignments.push([variable(arg, i, j), value])
      })
    }
    // a carried value may become another one's old value
    const targets = new Set(assignments.map(([target]) => target))
    const values = assignments.map(([, value]) => (targets.has(value) ? draft.declare(value) : value))
    for (const [at, [target]] of assignments.entries()) draft.line(`${target} = ${values[at]};`)
  }
  w.line(`for (var ${index} = ${from}; ${index} < ${to}; ${index} += ${loop.step}i) {`)
  w.append(settled(e, w, write))
  w.line('}')
  for (const { arg } of own) if (isScalar(arg)) w.line(`let ${e.register(arg, 0, 0)}_last = ${variable(arg, 0, 0)};`)
}

/** Writes a loop's body until what is pending at its end is no surprise at its beginning. */
function settled(e: Emission, w: TextWriter, write: (draft: TextWriter) => void): TextWriter {
  const before = e.barriers.pending
  let entry: PendingAccesses = before
  for (;;) {
    e.barriers.reset(entry)
    const draft = w.draft()
    write(draft)
    const exit = unionOf(before, e.barriers.pending)
    if (includes(entry, exit)) {
      // the loop may have run no round
      e.barriers.reset(exit)
      return draft
    }
    entry = unionOf(entry, exit)
  }
}

function uniformValue(w: TextWriter, value: string, uniform: boolean): string {
  if (uniform) return value
  // barriers inside the loop need a bound that is the same for all invocations, and known to be
  w.line('workgroupBarrier();')
  w.block('if (thread == 0i)', () => w.line(`shared_bound = ${value};`))
  return 'workgroupUniformLoad(&shared_bound)'
}

/** Is a scalar computed from arguments and read-only memory alone, as WGSL's analysis sees it? */
function isUniform(node: Node, uses: NodeUses, seen = new Set<Node>()): boolean {
  if (seen.has(node)) return true
  seen.add(node)
  const all = (nodes: readonly Node[]) => nodes.every((x) => isUniform(x, uses, seen))
  switch (node.op) {
    case 'const':
    case 'programId':
    case 'scalar':
    case 'size':
      return true
    case 'unary':
    case 'cast':
    case 'lookup':
    case 'broadcast':
      return all([node.x])
    case 'binary':
      return all([node.a, node.b])
    case 'select':
      return all([node.cond, node.a, node.b])
    case 'load':
      return node.tensor.access === 'read' && all(node.where ? [...node.indices, node.where] : node.indices)
    case 'result':
      return all([node.loop.from, node.loop.to, node.loop.inits[node.at] as Node, node.loop.results[node.at] as Node])
    case 'arg': {
      const loop = uses.loopsOf(node).at(-1)
      if (!loop) return false
      if (loop.index === node) return all([loop.from, loop.to])
      const at = loop.args.indexOf(node)
      return all([loop.from, loop.to, loop.inits[at] as Node, loop.results[at] as Node])
    }
    default:
      return false
  }
}
