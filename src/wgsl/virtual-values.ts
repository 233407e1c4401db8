import { isLeaf, isScalar, type Node, operands } from '../ir/index.ts'
import type { NodeUses } from './node-uses.ts'

const elementWise: ReadonlySet<string> = new Set(['load', 'unary', 'binary', 'select', 'cast', 'lookup', 'broadcast'])

/** Does a node's value at a coordinate depend only on its operands' values at that coordinate? */
export function isElementWise(node: Node): boolean {
  return elementWise.has(node.op)
}

/** How the values of a program can be had without registers. */
export interface ValueHomes {
  /** can be computed from coordinates alone: loads, and element-wise work on loads and scalars */
  readonly pointwise: ReadonlySet<Node>
  /** is computed where it is used, and nowhere else */
  readonly virtual: ReadonlySet<Node>
}

/**
 * Values that need no registers: tiles that can be computed from coordinates alone and that only `dot` reads, which takes its operands from workgroup memory; and casts that only stores read, which
 * round anyway.
 */
export function valueHomes(uses: NodeUses): ValueHomes {
  const pointwise = new Set<Node>()
  for (const node of uses.values) {
    const fromCoordinates = (x: Node) => (isLeaf(x) && x.op !== 'arg') || isScalar(x) || pointwise.has(x)
    // what a program writes may change between two readings
    if (node.op === 'load' && node.tensor.access !== 'read') continue
    if ((isElementWise(node) || node.op === 'transpose') && !isScalar(node) && operands(node).every(fromCoordinates))
      pointwise.add(node)
  }
  const virtual = new Set<Node>()
  for (const node of [...uses.values].reverse()) {
    const users = uses.users(node)
    if (users.length === 0) continue
    const onlyDots = users.every((user) => user.op === 'dot' || (virtual.has(user) && pointwise.has(user)))
    if (pointwise.has(node) && onlyDots) virtual.add(node)
    const narrow = node.dtype === 'f16' || node.dtype === 'bf16'
    const onlyRounded = users.every(
      (user) => user.op === 'store' && user.value === node && user.tensor.dtype === node.dtype,
    )
    if (node.op === 'cast' && narrow && onlyRounded) virtual.add(node)
  }
  return { pointwise, virtual }
}

/** The virtual values alone. */
export function virtualValues(uses: NodeUses): ReadonlySet<Node> {
  return valueHomes(uses).virtual
}
