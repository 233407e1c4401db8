import { isScalar, type Node, type Statement } from '../ir/index.ts'
import type { SelectNode } from '../ir/node.ts'
import type { NodeUses } from './node-uses.ts'
import { isElementWise } from './virtual-values.ts'

/** A select on a scalar, and the statements of its region that only one of its sides needs. */
export interface BranchWork {
  readonly select: SelectNode
  readonly whenTrue: ReadonlySet<Node>
  readonly whenFalse: ReadonlySet<Node>
}

/**
 * Finds the selects of a list of statements that become branches. Only element-wise work moves into a branch: it needs no
 * barrier. `movable` excludes values that are not emitted as such.
 */
export function branchWork(
  statements: readonly Statement[],
  uses: NodeUses,
  movable: (node: Node) => boolean,
): Map<Node, BranchWork> {
  const found = new Map<Node, BranchWork>()
  const nodes = statements.flatMap((statement) => (statement.kind === 'value' ? [statement.node] : []))
  const taken = new Set<Node>()
  for (let at = nodes.length - 1; at >= 0; at--) {
    const select = nodes[at] as Node
    if (select.op !== 'select' || !isScalar(select.cond) || isScalar(select) || taken.has(select) || !movable(select))
      continue
    const earlier = nodes.slice(0, at).reverse()
    const onlyFor = (side: Node, other: Node) => {
      const own = new Set<Node>()
      if (side === other) return own
      for (const node of earlier) {
        if (!isElementWise(node) || node === select.cond || node === other || taken.has(node) || !movable(node))
          continue
        const users = uses.users(node)
        if (users.length && users.every((user) => own.has(user) || (user === select && node === side))) own.add(node)
      }
      return own
    }
    const work = { select, whenTrue: onlyFor(select.a, select.b), whenFalse: onlyFor(select.b, select.a) }
    for (const node of [...work.whenTrue, ...work.whenFalse]) taken.add(node)
    found.set(select, work)
  }
  return found
}
