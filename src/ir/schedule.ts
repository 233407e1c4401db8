import { FoveaError } from './error.ts'
import { type EffectNode, type LoopNode, type Node, operands, type Param, type StoreNode } from './node.ts'
import { simplify } from './simplify.ts'

/** One step of a region. Leaves (const, programId, scalar, size, iota, arg) and `result` nodes are not statements. */
export type Statement =
  | { readonly kind: 'value'; readonly node: Node }
  | { readonly kind: 'loop'; readonly loop: LoopNode; readonly body: Region }
  | { readonly kind: 'store'; readonly store: StoreNode }

/** Statements in an order in which every node is computed before it is used. */
export interface Region {
  readonly statements: readonly Statement[]
}

/** A program in the form that back ends read: simplified, each value in the outermost region where it can be computed. */
export interface Program {
  readonly name: string
  readonly params: readonly Param[]
  readonly body: Region
  /** numbers for printing and naming: statements, loop results and arguments, in order of appearance */
  readonly ids: ReadonlyMap<Node, number>
}

const leaves: ReadonlySet<string> = new Set(['const', 'programId', 'scalar', 'size', 'iota', 'arg'])

/** Is this a node that back ends compute in place rather than as a statement? */
export function isLeaf(node: Node): boolean {
  return leaves.has(node.op)
}

/**
 * Orders a graph of stores into a program. Values that depend on no loop variable move out of loops; captured
 * tensors join the parameters in order of first use. Throws `argument` when a loop variable escapes its loop.
 */
export function schedule(name: string, declared: readonly Param[], roots: readonly EffectNode[]): Program {
  const effects = simplify(roots)
  const loopOf = new Map<Node, LoopNode>()
  const forced = new Map<Node, LoopNode>()
  const dependencies = new Map<Node, ReadonlySet<LoopNode>>()

  // the loops whose variables a node is computed from
  const depends = (node: Node): ReadonlySet<LoopNode> => {
    const known = dependencies.get(node)
    if (known) return known
    const found = new Set<LoopNode>()
    const owner = node.op === 'arg' ? loopOf.get(node) : forced.get(node)
    if (node.op === 'arg' && !owner)
      throw new FoveaError('argument', name, `loop variable ${node.name} is used outside its loop`)
    if (owner) {
      found.add(owner)
      for (const outer of dependencies.get(owner) ?? []) found.add(outer)
    }
    if (node.op === 'loop') {
      for (const own of [node.index, ...node.args]) loopOf.set(own, node)
      for (const effect of node.effects) forced.set(effect, node)
    }
    const parts = node.op === 'loop' ? [...operands(node), ...node.results, ...node.effects] : operands(node)
    for (const part of parts) for (const loop of depends(part)) if (loop !== node) found.add(loop)
    dependencies.set(node, found)
    return found
  }
  for (const effect of effects) depends(effect)

  const depth = (loop: LoopNode | null): number => (loop ? (dependencies.get(loop)?.size ?? 0) + 1 : 0)
  const home = (node: Node): LoopNode | null => {
    let deepest: LoopNode | null = null
    for (const loop of depends(node)) if (depth(loop) > depth(deepest)) deepest = loop
    return deepest
  }

  const ids = new Map<Node, number>()
  const params: Param[] = [...declared]
  const placed = new Set<Node>()
  const emit = (region: LoopNode | null, wanted: readonly Node[]): Region => {
    const statements: Statement[] = []
    // places, in this region, all that `node` needs of it; what belongs to inner loops is only walked through
    const seen = new Set<Node>()
    const visit = (node: Node) => {
      if (seen.has(node) || placed.has(node)) return
      seen.add(node)
      if (node.op === 'load' || node.op === 'store' || node.op === 'size')
        if (!params.includes(node.tensor)) params.push(node.tensor)
      const parts = node.op === 'loop' ? [...operands(node), ...node.results, ...node.effects] : operands(node)
      for (const part of parts) visit(part)
      if (isLeaf(node) || home(node) !== region) return
      placed.add(node)
      if (node.op === 'loop') {
        ids.set(node, ids.size)
        for (const own of [node.index, ...node.args]) ids.set(own, ids.size)
        statements.push({ kind: 'loop', loop: node, body: emit(node, [...node.results, ...node.effects]) })
        return
      }
      ids.set(node, ids.size)
      if (node.op === 'store') statements.push({ kind: 'store', store: node })
      else if (node.op !== 'result') statements.push({ kind: 'value', node })
    }
    for (const node of wanted) visit(node)
    return { statements }
  }
  const body = emit(null, effects)
  return { name, params, body, ids }
}
