import { instantiate, type Node, operands } from '../../tile/index.ts'
import type { CapturedLoad, ContextName } from './score-gradient.ts'

/** Which indices a gathered value still has: sums over keys, sums over queries, or single pairs. */
export type Gathered = 'rows' | 'columns' | 'pairs'

export type Unknown = 'head' | 'q' | 'k'
const unknowns: Readonly<Record<Gathered, readonly Unknown[]>> = {
  rows: ['head', 'q'],
  columns: ['head', 'k'],
  pairs: ['head', 'q', 'k'],
}

/** How one unknown is found for a given element: it is solved from an index of the load, or every value of it is tried. */
export type CollectionStep =
  | { readonly unknown: Unknown; readonly solved: { readonly dim: number; readonly sign: 1 | -1 } }
  | { readonly unknown: Unknown; readonly solved: null }

/**
 * How an element of a captured tensor finds the values that belong to its gradient. The indices of the load are functions of
 * head, q and k; where one of them is ± an unknown plus what is known, the element's coordinate tells the unknown
 * (`table[head, k − q + offset]`: the head, and for each q the only k). An unknown that no index tells is tried in full, which is
 * right for any function of the position, and slow for tensors of many elements.
 */
export interface Collection {
  readonly gathered: Gathered
  readonly steps: readonly CollectionStep[]
  /** per dimension of the tensor: the argument that its index simply is, if it is one */
  readonly plain: readonly (ContextName | null)[]
  /** the last unknown is tried, so its values run along a tile */
  readonly triesLast: boolean
}

/** Sums over keys do where no index depends on the key, sums over queries where none depends on the query. */
export function gatheredFor({ uses }: CapturedLoad): Gathered {
  if (!uses.has('k')) return 'rows'
  return uses.has('q') ? 'pairs' : 'columns'
}

export function planCollection(load: CapturedLoad, symbols: Readonly<Record<ContextName, Node>>): Collection {
  const gathered = gatheredFor(load)
  const left = new Set<Unknown>(unknowns[gathered])
  const usedDims = new Set<number>()
  const steps: CollectionStep[] = []
  const solve = (): CollectionStep | null => {
    for (const [dim, index] of load.indices.entries()) {
      if (usedDims.has(dim)) continue
      const open = [...left].filter((unknown) => dependsOn(index, symbols[unknown]))
      const [unknown] = open
      if (open.length !== 1 || !unknown) continue
      const slope = slopeOf(index, symbols[unknown])
      if (slope === 1 || slope === -1) return { unknown, solved: { dim, sign: slope } }
    }
    return null
  }
  while (left.size > 0) {
    const step = solve() ?? { unknown: [...left][0] as Unknown, solved: null }
    if (step.solved) usedDims.add(step.solved.dim)
    left.delete(step.unknown)
    steps.push(step)
  }
  const names = Object.entries(symbols) as [ContextName, Node][]
  const plain = load.indices.map((index) => names.find(([, symbol]) => symbol === index)?.[0] ?? null)
  return { gathered, steps, plain, triesLast: steps.at(-1)?.solved === null }
}

/** What is left of an index when one of its arguments, on which it depends linearly, is 0. */
export function withoutTerm(index: Node, unknown: Node, bindings: ReadonlyMap<Node, Node>): Node {
  const zero: Node = { op: 'const', value: 0, dtype: unknown.dtype, rows: 1, cols: 1 }
  return instantiate([index], new Map([...bindings, [unknown, zero]]))[0] as Node
}

function dependsOn(node: Node, symbol: Node): boolean {
  return node === symbol || operands(node).some((part) => dependsOn(part, symbol))
}

/** The factor of `symbol` in an integer expression that is linear in it; null where it is not. */
function slopeOf(node: Node, symbol: Node): number | null {
  if (node === symbol) return 1
  if (!dependsOn(node, symbol)) return 0
  if (node.op === 'unary' && node.fn === 'neg') {
    const slope = slopeOf(node.x, symbol)
    return slope === null ? null : -slope
  }
  if (node.op !== 'binary' || node.dtype !== 'i32') return null
  const [a, b] = [slopeOf(node.a, symbol), slopeOf(node.b, symbol)]
  if (a === null || b === null) return null
  if (node.fn === 'add') return a + b
  if (node.fn === 'sub') return a - b
  if (node.fn !== 'mul') return null
  return node.b.op === 'const' ? a * node.b.value : node.a.op === 'const' ? b * node.a.value : null
}
