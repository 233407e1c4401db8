import * as ir from './build.ts'
import { checkFields, type FieldsOf } from './check-fields.ts'
import { FoveaError } from './error.ts'
import type { Axis, Node, Typed } from './node.ts'

/**
 * An expression that was traced on symbols, built again over what stands for them: shapes are broadcast anew, so an
 * expression of scalars serves tiles [tileQ, tileK]. With `transposed`, what has a shape of its own (iotas, axes, constants)
 * is turned too, so that the same expression serves transposed tiles [tileK, tileQ]. Equal subexpressions stay shared.
 * Throws `argument` for a symbol that `bindings` lacks, `shape` where the shapes do not broadcast.
 */
export function instantiate(
  roots: readonly Node[],
  bindings: ReadonlyMap<Node, Node>,
  options: { readonly transposed?: boolean } = {},
): Node[] {
  checkFields('instantiate', 'options', options, fields)
  const { transposed = false } = options
  const done = new Map<Node, Node>(bindings)
  const axisOf = (axis: Axis): Axis => (transposed ? (axis === 'rows' ? 'cols' : 'rows') : axis)
  const shapeOf = ({ rows, cols }: Typed) => (transposed ? { rows: cols, cols: rows } : { rows, cols })
  const build = (node: Node): Node => {
    switch (node.op) {
      case 'const':
        return { ...node, ...shapeOf(node) }
      case 'iota':
        return { ...node, ...shapeOf(node), axis: axisOf(node.axis) }
      case 'programId':
      case 'scalar':
      case 'size':
        return node
      case 'unary':
        return ir.unary(node.fn, visit(node.x))
      case 'binary':
        return ir.binary(node.fn, visit(node.a), visit(node.b))
      case 'select':
        return ir.select(visit(node.cond), visit(node.a), visit(node.b))
      case 'cast':
        return ir.cast(visit(node.x), node.dtype)
      case 'lookup':
        return ir.lookup(visit(node.x), node.table)
      case 'broadcast': {
        const x = visit(node.x)
        const { rows, cols } = shapeOf(node)
        return ir.broadcast(x, rows === 1 ? x.rows : rows, cols === 1 ? x.cols : cols)
      }
      case 'load':
        return ir.load(node.tensor, node.indices.map(visit), node.where && visit(node.where))
      case 'transpose':
        return ir.transpose(visit(node.x))
      case 'reduce':
        return ir.reduce(node.fn, axisOf(node.axis), visit(node.x))
      case 'scan':
        return ir.scan(axisOf(node.axis), visit(node.x), node.reverse)
      case 'dot': {
        const [a, b] = [visit(node.a), visit(node.b)]
        const [left, right] = [node.transposeA ? ir.transpose(a) : a, node.transposeB ? ir.transpose(b) : b]
        return transposed ? ir.dot(right, left) : ir.dot(left, right)
      }
      case 'arg':
        throw new FoveaError('argument', 'instantiate', `nothing stands for the symbol ${node.name}`)
      case 'loop':
      case 'result':
      case 'store':
        throw new FoveaError('unsupported', 'instantiate', `takes pure expressions, got a ${node.op}`)
      default:
        return node satisfies never
    }
  }
  const visit = (node: Node): Node => {
    const known = done.get(node)
    if (known) return known
    const built = build(node)
    done.set(node, built)
    return built
  }
  return roots.map(visit)
}

const fields: FieldsOf<NonNullable<Parameters<typeof instantiate>[2]>> = { transposed: true }
