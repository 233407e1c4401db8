import { isLeaf, isScalar, type Node, type Program } from '../ir/index.ts'
import type { ArgNode, DotNode, LoopNode, StoreNode } from '../ir/node.ts'
import { isUnsupported, type Unsupported } from './fragment-config.ts'
import type { NodeUses } from './node-uses.ts'
import { isElementWise } from './virtual-values.ts'

/** A carried tile that is only scaled by row vectors and added to by `dot`: it stays in fragments for the whole program. */
export interface Accumulator {
  readonly name: string
  readonly cols: number
  /** what it starts as */
  readonly fill: number
  /** the loop at whose entry it is set */
  readonly loop: LoopNode
}

/** One step of an accumulator's round: multiply the rows by `scale`, or add a product. */
export type AccumulatorStep =
  | { readonly kind: 'scale'; readonly by: Node }
  | { readonly kind: 'add'; readonly dot: DotNode }

/**
 * Where the left operand of a `dot` is read from: fragments `held` for the whole loop, workgroup memory `staged` by all
 * invocations together, or rows written by the `lanes` that computed them. Right operands are always staged.
 */
export type LeftHome = 'held' | 'staged' | 'lanes'

type Step = { readonly kind: 'scale'; readonly by: Node } | { readonly kind: 'add'; readonly node: Node }
type Term = (node: Node) => boolean

export interface FragmentRoles {
  /** the accumulator that a loop variable, a loop result or an addition is kept in */
  readonly accumulators: ReadonlyMap<Node, Accumulator>
  /** what to do at an addition that ends in an accumulator, or at a scaling that does */
  readonly steps: ReadonlyMap<Node, AccumulatorStep>
  /** products that are added to an accumulator: nothing is done where they stand */
  readonly absorbed: ReadonlySet<Node>
  readonly leftHome: ReadonlyMap<DotNode, LeftHome>
  /** sums over columns that are only added up from round to round: lanes keep their parts, joined after the loop named */
  readonly laneSums: ReadonlyMap<Node, LoopNode>
  /** values only needed by stores of the same region: computed there, a few columns at a time */
  readonly late: ReadonlySet<Node>
}

export function fragmentRoles(
  program: Program,
  uses: NodeUses,
  virtual: ReadonlySet<Node>,
): FragmentRoles | Unsupported {
  const accumulators = new Map<Node, Accumulator>()
  const steps = new Map<Node, AccumulatorStep>()
  const absorbed = new Set<Node>()
  const only = (node: Node) => (uses.users(node).length === 1 ? uses.users(node)[0] : undefined)

  // walks from a round's result back to the loop variable over scalings and additions of `term`s; collects what it meets
  const follow = (node: Node, arg: ArgNode, met: Node[], found: Map<Node, Step>, term: Term): boolean => {
    met.push(node)
    if (node === arg) return true
    if (node.op === 'binary' && node.fn === 'add') {
      for (const [rest, added] of [
        [node.a, node.b],
        [node.b, node.a],
      ] as const) {
        if (!term(added) || only(added) !== node || only(rest) !== node) continue
        found.set(node, { kind: 'add', node: added })
        if (follow(rest, arg, met, found, term)) return true
      }
    }
    if (node.op === 'binary' && node.fn === 'mul') {
      for (const [tile, by] of [
        [node.a, node.b],
        [node.b, node.a],
      ] as const) {
        if (by.cols !== 1 || tile.cols !== node.cols || only(tile) !== node) continue
        found.set(node, { kind: 'scale', by })
        if (follow(tile, arg, met, found, term)) return true
      }
    }
    if (node.op === 'result') {
      const inner = node.loop
      if (inner.inits[node.at] !== arg || only(arg) !== inner) return false
      const innerArg = inner.args[node.at] as ArgNode
      return follow(inner.results[node.at] as Node, innerArg, met, found, term)
    }
    return false
  }

  for (const loop of uses.loops)
    loop.args.forEach((arg, at) => {
      const init = loop.inits[at] as Node
      if (arg.cols === 1 || accumulators.has(arg) || init.op !== 'const') return
      const met: Node[] = [arg]
      const found = new Map<Node, Step>()
      if (!follow(loop.results[at] as Node, arg, met, found, (x) => x.op === 'dot')) return
      const accumulator = { name: `acc${program.ids.get(arg) ?? at}`, cols: arg.cols, fill: init.value, loop }
      for (const node of met) {
        accumulators.set(node, accumulator)
        if (node.op === 'result') accumulators.set(node.loop.args[node.at] as Node, accumulator)
      }
      for (const [node, step] of found) {
        if (step.kind === 'scale') steps.set(node, step)
        else if (step.node.op === 'dot') {
          steps.set(node, { kind: 'add', dot: step.node })
          absorbed.add(step.node)
        }
      }
    })
  const laneSums = new Map<Node, LoopNode>()
  for (const loop of uses.loops)
    loop.args.forEach((arg, at) => {
      const init = loop.inits[at] as Node
      if (arg.cols !== 1 || arg.rows === 1 || arg.dtype !== 'f32' || laneSums.has(arg)) return
      if (init.op !== 'const' || init.value !== 0) return
      const met: Node[] = [arg]
      const found = new Map<Node, Step>()
      const isSum: Term = (x) => x.op === 'reduce' && x.fn === 'sum' && x.axis === 'cols' && x.x.cols > 1
      if (!follow(loop.results[at] as Node, arg, met, found, isSum)) return
      for (const node of met) {
        laneSums.set(node, loop)
        if (node.op === 'result') laneSums.set(node.loop.args[node.at] as Node, loop)
      }
      for (const step of found.values()) if (step.kind === 'add') laneSums.set(step.node, loop)
    })
  // the final values
  const results = new Set<Node>()
  for (const node of [...uses.values, ...uses.stores, ...uses.loops])
    for (const operand of nodeOperands(node)) if (operand.op === 'result') results.add(operand)
  for (const node of results) {
    const accumulator = node.op === 'result' ? accumulators.get(node.loop.args[node.at] as Node) : undefined
    if (accumulator) accumulators.set(node, accumulator)
  }

  const late = lateValues(uses, virtual, steps)
  for (const node of results)
    if (accumulators.has(node) && !steps.has(node))
      for (const user of uses.users(node))
        if (user.op !== 'store' && !late.has(user) && !steps.has(user) && user.op !== 'loop')
          return { unsupported: `an accumulator is read by ${user.op}, which is no store` }

  const leftHome = new Map<DotNode, LeftHome>()
  for (const dot of uses.dots) {
    const home = homeOfLeft(dot, uses, virtual)
    if (isUnsupported(home)) return home
    leftHome.set(dot, home.left)
  }
  return { accumulators, steps, absorbed, leftHome, laneSums, late }
}

function nodeOperands(node: Node): readonly Node[] {
  if (node.op === 'loop') return [node.from, node.to, ...node.inits, ...node.results]
  if (node.op === 'store') return [...node.indices, node.value, ...(node.where ? [node.where] : [])]
  if (node.op === 'load') return node.where ? [...node.indices, node.where] : node.indices
  if (node.op === 'binary' || node.op === 'dot') return [node.a, node.b]
  if (node.op === 'select') return [node.cond, node.a, node.b]
  return 'x' in node ? [node.x] : []
}

function homeOfLeft(dot: DotNode, uses: NodeUses, virtual: ReadonlySet<Node>): { left: LeftHome } | Unsupported {
  const { a, b } = dot
  const dtypes = [a.dtype, b.dtype]
  if (dtypes.includes('bf16')) return { unsupported: 'bf16 operands of dot (f16 has not their range)' }
  if (!dtypes.includes('f16')) return { unsupported: 'f32 operands of dot' }
  if (!virtual.has(b)) return { unsupported: `the right operand of dot is a ${b.op} that is computed from other tiles` }
  if (!virtual.has(a)) {
    if (dot.transposeA) return { unsupported: 'a transposed left operand of dot that is computed from other tiles' }
    if (isLeaf(a) && a.op !== 'arg') return { unsupported: `a ${a.op} as left operand of dot` }
    return { left: 'lanes' }
  }
  const outside = uses.loopsOf(a).length < uses.loopsOf(dot).length
  return { left: outside && !dot.transposeA ? 'held' : 'staged' }
}

/**
 * Element-wise values with columns whose every user is a store of the same region, another such value, or an operand tile,
 * which is computed from coordinates anyway.
 */
function lateValues(
  uses: NodeUses,
  virtual: ReadonlySet<Node>,
  steps: ReadonlyMap<Node, AccumulatorStep>,
): ReadonlySet<Node> {
  const late = new Set<Node>()
  const region = (node: Node) => uses.loopsOf(node).at(-1)
  const stores = new Set<Node>(uses.stores)
  for (const node of [...uses.values].reverse()) {
    if (!isElementWise(node) || isScalar(node) || node.cols === 1 || steps.has(node)) continue
    const users = uses.users(node)
    // a store's loops are those of the values it writes
    const inPlace = (user: Node) => {
      if (stores.has(user)) return storeRegion(user as StoreNode, uses) === region(node)
      return virtual.has(user) || (late.has(user) && region(user) === region(node))
    }
    if (users.length && users.every(inPlace)) late.add(node)
  }
  return late
}

/** The innermost loop whose effects hold a store. */
function storeRegion(store: StoreNode, uses: NodeUses): LoopNode | undefined {
  return uses.loops.find((loop) => loop.effects.includes(store))
}
