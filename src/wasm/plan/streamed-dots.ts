import { type DotNode, isScalar, type Node } from '../../ir/node.ts'
import type { AccessTable } from './access.ts'
import type { FusedDots } from './fused-dots.ts'
import { isElementwise, valueInputs } from './node-class.ts'
import type { ProgramUses } from './uses.ts'

/** most rows of a product whose right operand is streamed: their accumulators stay in registers */
export const maxStreamedRows = 4

/**
 * Products of so few rows that their right operand is used up as it is computed: its elements, each needed once, go from
 * memory to the products without a buffer. Gives the products, by their right operands.
 */
export function findStreamedDots(
  facts: ProgramUses,
  fused: FusedDots,
  accesses: AccessTable,
): ReadonlyMap<Node, DotNode> {
  const streamed = new Map<Node, DotNode>()
  const started = new Set([...fused.sums.values()].map(({ dot }) => dot))
  const loads = (node: Node): boolean =>
    !isScalar(node) &&
    isElementwise(node) &&
    (node.op === 'load' || valueInputs(node, accesses).some((input) => loads(input)))
  for (const [node, uses] of facts.uses) {
    const [only] = uses
    if (uses.length !== 1 || only?.by.op !== 'dot' || only.by.b !== node || only.by.a === node) continue
    const dot = only.by
    if (dot.rows > maxStreamedRows || dot.transposeA || node.rows % 4 !== 0 || node.cols % 4 !== 0) continue
    // what does not change in the loop of the product is better computed before it
    if (facts.home.get(node) !== facts.home.get(dot) || !loads(node)) continue
    // lanes of several products are added up at the end, which leaves no place for what they start from
    if (dot.transposeB && started.has(dot)) continue
    streamed.set(node, dot)
  }
  return streamed
}
