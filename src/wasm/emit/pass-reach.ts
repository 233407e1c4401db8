import { isScalar, type Node } from '../../ir/node.ts'
import type { Access } from '../plan/access.ts'
import type { Plan } from '../plan/build-plan.ts'
import { isElementwise } from '../plan/node-class.ts'
import type { PassRoot } from '../plan/operation.ts'

/** What a pass computes lane by lane under some decided selects. */
export interface Reach {
  /** scalar conditions of its selects, outermost first */
  readonly conditions: readonly Node[]
  readonly accesses: readonly Access[]
  /** about how many instructions four lanes take */
  readonly weight: number
}

const unaryWeight: Readonly<Record<string, number>> = {
  exp2: 14,
  exp: 20,
  log: 35,
  log2: 35,
  sin: 50,
  cos: 50,
  tanh: 35,
  sigmoid: 25,
  erf: 45,
}

/** Walks what the roots of a pass are computed from, down to the values that lie in buffers or scalars. */
export function reachable(
  plan: Plan,
  pass: { readonly roots: readonly Pick<PassRoot, 'node' | 'kind'>[] },
  decisions: ReadonlyMap<Node, boolean>,
  sources: readonly Node[] = [],
): Reach {
  const conditions: Node[] = []
  const accesses: Access[] = []
  const seen = new Set<Node>()
  const own = new Set(pass.roots.map((root) => root.node))
  let weight = 0
  const visit = (node: Node) => {
    if (seen.has(node)) return
    seen.add(node)
    // a scalar that the pass itself makes, such as the sum of a row, reaches what it is made of
    if ((isScalar(node) && !own.has(node)) || node.op === 'const') return
    if (!own.has(node) && (plan.buffered(node) || !isElementwise(node))) {
      weight++
      return
    }
    if (node.op === 'select' && isScalar(node.cond)) {
      const taken = decisions.get(node.cond)
      if (taken !== undefined) {
        visit(taken ? node.a : node.b)
        return
      }
      if (node.cond.op !== 'const' && !conditions.includes(node.cond)) conditions.push(node.cond)
    }
    if (node.op === 'load' || node.op === 'store') {
      accesses.push(plan.accesses.of(node))
      weight += 4
    } else
      weight += node.op === 'unary' ? (unaryWeight[node.fn] ?? 1) : node.op === 'binary' && node.fn === 'pow' ? 60 : 1
    for (const input of plan.inputsOf(node)) visit(input)
  }
  for (const { node } of pass.roots) visit(node)
  for (const node of sources) visit(node)
  return { conditions, accesses, weight }
}
