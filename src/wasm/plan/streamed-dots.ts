import { type DotNode, isScalar, type Node } from '../../ir/node.ts'
import type { AccessTable } from './access.ts'
import { isElementwise, valueInputs } from './node-class.ts'
import type { ProgramUses } from './uses.ts'

/** most rows of a product whose right operand is streamed: their accumulators stay in registers */
export const maxStreamedRows = 4
/**
 * most rows times instructions that an element takes: beyond it, registers run out, and the operand is better computed
 * first (measured on linear layers: 4 rows of q4_0, 7 instructions, 158 µs streamed against 113; 4 of q8_0, 5, 110 against 156)
 */
const maxStreamedWork = 24

/** Right operands that are computed as they are used, and loads of which several of them are made: each loads for itself. */
export interface StreamedDots {
  readonly operands: ReadonlyMap<Node, DotNode>
  readonly loads: ReadonlySet<Node>
}

/**
 * Products of so few rows that their right operand is used up as it is computed: its elements, each needed once, go from
 * memory to the products without a buffer.
 */
export function findStreamedDots(facts: ProgramUses, accesses: AccessTable): StreamedDots {
  const streamed = new Map<Node, DotNode>()
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
    if (dot.rows * weightOf(node, accesses) > maxStreamedWork) continue
    streamed.set(node, dot)
  }
  return { operands: streamed, loads: sharedLoads(facts, streamed) }
}

/** Loads whose every use is a step, lane by lane, on the way to one of these operands. */
function sharedLoads(facts: ProgramUses, streamed: ReadonlyMap<Node, DotNode>): ReadonlySet<Node> {
  const found = new Set<Node>()
  const leads = (node: Node, load: Node): boolean => {
    if (node.rows !== load.rows || node.cols !== load.cols || facts.home.get(node) !== facts.home.get(load))
      return false
    if (streamed.has(node)) return true
    const [only] = facts.uses.get(node) ?? []
    return isElementwise(node) && facts.uses.get(node)?.length === 1 && only?.kind === 'lanes' && leads(only.by, load)
  }
  for (const [node, uses] of facts.uses)
    if (node.op === 'load' && uses.length > 1 && uses.every(({ by, kind }) => kind === 'lanes' && leads(by, node)))
      found.add(node)
  return found
}

/** About how many instructions four elements of a value take; of sides that a scalar decides between, the longer. */
function weightOf(node: Node, accesses: AccessTable): number {
  if (isScalar(node) || !isElementwise(node) || node.op === 'const') return 0
  const inputs = valueInputs(node, accesses).filter((input) => input.rows > 1 && input.cols > 1)
  if (node.op === 'load') return 4
  if (node.op === 'select' && isScalar(node.cond))
    return Math.max(weightOf(node.a, accesses), weightOf(node.b, accesses))
  return 1 + inputs.reduce((sum, input) => sum + weightOf(input, accesses), 0)
}
