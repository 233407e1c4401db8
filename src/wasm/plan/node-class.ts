import { isScalar, type Node, operands, type ReduceNode } from '../../ir/node.ts'
import { type AccessTable, accessInputs } from './access.ts'

/** Is this reduction over an axis of size 1, and so the value itself? */
export function isIdentityReduce(node: ReduceNode): boolean {
  return node.x[node.axis] === 1
}

/** Can this node be computed lane by lane inside a pass over its shape? */
export function isElementwise(node: Node): boolean {
  switch (node.op) {
    case 'const':
    case 'programId':
    case 'scalar':
    case 'size':
    case 'iota':
    case 'unary':
    case 'binary':
    case 'select':
    case 'cast':
    case 'lookup':
    case 'broadcast':
    case 'load':
      return true
    case 'reduce':
      return isIdentityReduce(node)
    case 'transpose':
    case 'dot':
    case 'scan':
    case 'arg':
    case 'result':
    case 'loop':
    case 'store':
      return false
    default:
      return node satisfies never
  }
}

/** The nodes whose values a node is computed from; ranges of indices count as their scalar base. */
export function valueInputs(node: Node, accesses: AccessTable): readonly Node[] {
  if (node.op === 'load') return accessInputs(accesses.of(node))
  if (node.op === 'store') return [...accessInputs(accesses.of(node)), node.value]
  return operands(node)
}

/** The shape over which the lanes of a node are walked: a reduction walks its operand. */
export function walkedShape(node: Node): { readonly rows: number; readonly cols: number } {
  return node.op === 'reduce' && !isIdentityReduce(node) ? node.x : node
}

/** Nodes that are the same wherever they stand: they are written into the instructions that use them. */
export function isImmediate(node: Node): boolean {
  return (
    node.op === 'const' || (isScalar(node) && (node.op === 'programId' || node.op === 'scalar' || node.op === 'size'))
  )
}
