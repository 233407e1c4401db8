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
    const initial = dot === node.b ? node.a : node.b
    if (!isSum(initial)) continue
    fused.set(node, { dot, initial })
    taken.add(dot)
  }
  return fused
}

/**
 * A sum of products so far, perhaps rescaled: adding more products to it one by one rounds as it would anyway. A bias is not:
 * a score of 1 beside a bias of 100 would be rounded to the bias's last place once per product.
 */
function isSum(initial: Node): boolean {
  if (initial.op === 'arg' || initial.op === 'dot') return true
  return initial.op === 'binary' && initial.fn === 'mul' && [initial.a, initial.b].some((side) => isSum(side))
}

function isOnlyFor(uses: NodeUses, dot: Node, sum: BinaryNode): boolean {
  if (dot.op !== 'dot' || dot.rows !== sum.rows || dot.cols !== sum.cols || sum.a === sum.b) return false
  const users = uses.users(dot)
  const sameLoops = uses.loopsOf(dot).length === uses.loopsOf(sum).length
  return users.length === 1 && users[0] === sum && sameLoops
}
