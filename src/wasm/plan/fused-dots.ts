import type { DotNode, Node } from '../../ir/node.ts'
import type { Program, Region } from '../../ir/schedule.ts'
import { isElementwise } from './node-class.ts'
import { needsBuffer, type ProgramUses } from './uses.ts'

/** A sum with a matrix product that the micro-kernel computes in one: base · factor + dot. */
export interface FusedDot {
  readonly dot: DotNode
  readonly base: Node
  /** one factor per row, or a scalar; null for 1 */
  readonly factor: Node | null
}

/** Sums that are fused with their product, by the node of the sum, and the nodes that vanish in them. */
export interface FusedDots {
  readonly sums: ReadonlyMap<Node, FusedDot>
  readonly absorbed: ReadonlySet<Node>
}

/** Finds `add(base, dot)` and `add(mul(base, factor), dot)` where the product has no other use. */
export function findFusedDots(program: Program, facts: ProgramUses): FusedDots {
  const sums = new Map<Node, FusedDot>()
  const absorbed = new Set<Node>()
  const single = (node: Node, beside: Node) =>
    facts.uses.get(node)?.length === 1 && facts.home.get(node) === facts.home.get(beside)
  const isBuffer = (node: Node, like: Node) =>
    node.rows === like.rows &&
    node.cols === like.cols &&
    node.dtype === 'f32' &&
    !absorbed.has(node) &&
    (!isElementwise(node) || needsBuffer(node, facts)) &&
    node.rows * node.cols > 1
  const isFactor = (node: Node, like: Node) =>
    node.op !== 'const' &&
    node.dtype === 'f32' &&
    node.cols === 1 &&
    (node.rows === like.rows || node.rows === 1) &&
    (node.rows === 1 || !isElementwise(node) || needsBuffer(node, facts))

  const match = (sum: Node, product: Node, other: Node): FusedDot | null => {
    // a product that is repeated along the sum's rows or columns is computed by itself
    if (product.op !== 'dot' || product.rows !== sum.rows || product.cols !== sum.cols || !single(product, sum))
      return null
    if (isBuffer(other, sum)) return { dot: product, base: other, factor: null }
    if (other.op !== 'binary' || other.fn !== 'mul' || !single(other, sum)) return null
    const { a, b } = other
    if (isBuffer(a, sum) && isFactor(b, sum)) return { dot: product, base: a, factor: b }
    return isBuffer(b, sum) && isFactor(a, sum) ? { dot: product, base: b, factor: a } : null
  }

  const search = (region: Region) => {
    for (const statement of region.statements) {
      if (statement.kind === 'loop') search(statement.body)
      if (statement.kind !== 'value') continue
      const { node } = statement
      if (node.op !== 'binary' || node.fn !== 'add' || node.rows * node.cols === 1 || !facts.uses.has(node)) continue
      const fused = match(node, node.a, node.b) ?? match(node, node.b, node.a)
      if (!fused) continue
      sums.set(node, fused)
      absorbed.add(fused.dot)
      const scaled = node.a === fused.dot ? node.b : node.a
      if (scaled !== fused.base) absorbed.add(scaled)
    }
  }
  search(program.body)
  return { sums, absorbed }
}
