import { type Node, operands, type TensorParam } from './node.ts'

/**
 * A text that is equal for two expressions exactly when they compute the same thing in the same way: what a hook computes,
 * not which function object it is. `numberOf` names captured tensors by identity; `onLoad` is told of each tensor read.
 */
export function expressionKey(
  root: Node,
  numberOf: (source: object) => number,
  onLoad: (tensor: TensorParam) => void = () => {},
): string {
  const numbers = new Map<Node, number>()
  const lines: string[] = []
  const tensorKey = (tensor: TensorParam) =>
    `${tensor.source ? `#${numberOf(tensor.source)}` : tensor.name}:${tensor.dtype}:${tensor.sizes}:${tensor.alignment}`
  const visit = (node: Node): number => {
    const known = numbers.get(node)
    if (known !== undefined) return known
    if (node.op === 'load') onLoad(node.tensor)
    const parts = operands(node).map(visit)
    numbers.set(node, numbers.size)
    lines.push(`${node.op} ${node.dtype} ${node.rows} ${node.cols} ${detail(node, tensorKey)} ${parts.join(',')}`)
    return numbers.size - 1
  }
  visit(root)
  return lines.join(';')
}

/** What distinguishes nodes of one op, besides their operands and type. */
function detail(node: Node, tensorKey: (tensor: TensorParam) => string): string {
  switch (node.op) {
    case 'const':
      return Object.is(node.value, -0) ? '-0' : `${node.value}`
    case 'unary':
    case 'binary':
      return node.fn
    case 'reduce':
      return `${node.fn} ${node.axis}`
    case 'scan':
      return `${node.axis} ${node.reverse}`
    case 'iota':
      return node.axis
    case 'programId':
      return `${node.axis}`
    case 'scalar':
      return node.param.name
    case 'size':
      return `${tensorKey(node.tensor)} ${node.dim}`
    case 'load':
      return `${tensorKey(node.tensor)} ${node.where !== null}`
    case 'lookup':
      return `${node.table}`
    case 'arg':
      return node.name
    case 'dot':
      return `${node.transposeA} ${node.transposeB}`
    default:
      return ''
  }
}
