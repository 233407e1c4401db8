import type { Node } from '../ir/index.ts'
import type { BinaryNode, DotNode } from '../ir/node.ts'
import type { NodeUses } from './node-uses.ts'

/** x + a · b where nothing else reads the product: the dot accumulates onto x and takes the place of the sum. */
export interface FusedDot {
  readonly dot: DotNode
  readonly initial: Node
}

export function fusedDots(uses: NodeUses): ReadonlyMap<Node, FusedDot> {
  const fused = new Map<Node, FusedDot>()
  const taken = new Set<Node>()
  for (const node of uses.values) {
    if (node.op !== 'binary' || node.fn !== 'add' || node.dtype !== 'f32') continue
    const dot = [node.b, node.a].find((side) => isOnlyFor(uses, side, node) && !taken.has(side))
    if (dot?.op !== 'dot') continue
    fused.set(node, { dot, initial: dot === node.b ? node.a : node.b })
    taken.add(dot)
  }
  return fused
}

function isOnlyFor(uses: NodeUses, dot: Node, sum: BinaryNode): boolean {
  if (dot.op !== 'dot' || dot.rows !== sum.rows || dot.cols !== sum.cols || sum.a === sum.b) return false
  const users = uses.users(dot)
  const sameLoops = uses.loopsOf(dot).length === uses.loopsOf(sum).length
  return users.length === 1 && users[0] === sum && sameLoops
}
