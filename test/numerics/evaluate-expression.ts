import type { Node, TensorParam } from '../../src/ir/node.ts'
import { binaryMath, convert, unaryMath } from '../../src/ir/scalar-math.ts'

/** Reads an element of a captured tensor; outside it, 0. */
export type ReadElement = (tensor: TensorParam, indices: readonly number[]) => number

/**
 * Expressions of scalars as functions in float64: `variables` get the numbers of an array, in order. What a program would compute
 * in f32, from the graph alone.
 */
export function evaluateExpressions(
  roots: readonly Node[],
  variables: readonly Node[],
  read: ReadElement = () => Number.NaN,
): (values: readonly number[]) => number[] {
  const slots = new Map<Node, number>()
  const steps: ((at: number[]) => void)[] = []
  variables.forEach((variable, i) => {
    slots.set(variable, i)
  })
  const visit = (node: Node): number => {
    const known = slots.get(node)
    if (known !== undefined) return known
    const step = stepOf(node, visit, read)
    const slot = variables.length + steps.length
    steps.push((at) => {
      at[slot] = step(at)
    })
    slots.set(node, slot)
    return slot
  }
  const results = roots.map(visit)
  return (values) => {
    const at = [...values]
    for (const step of steps) step(at)
    return results.map((slot) => at[slot] as number)
  }
}

function stepOf(node: Node, visit: (node: Node) => number, read: ReadElement): (at: number[]) => number {
  const get = (slot: number) => (at: number[]) => at[slot] as number
  switch (node.op) {
    case 'const':
      return () => node.value
    case 'unary': {
      const [x, fn] = [get(visit(node.x)), unaryMath[node.fn]]
      return (at) => fn(x(at))
    }
    case 'binary': {
      const [a, b, fn] = [get(visit(node.a)), get(visit(node.b)), binaryMath(node.fn, node.a.dtype)]
      return (at) => fn(a(at), b(at))
    }
    case 'select': {
      const [cond, a, b] = [node.cond, node.a, node.b].map((part) => get(visit(part))) as [
        (at: number[]) => number,
        (at: number[]) => number,
        (at: number[]) => number,
      ]
      return (at) => (cond(at) ? a(at) : b(at))
    }
    case 'cast': {
      const x = get(visit(node.x))
      return (at) => convert(x(at), node.dtype)
    }
    case 'load': {
      const indices = node.indices.map((index) => get(visit(index)))
      return (at) =>
        read(
          node.tensor,
          indices.map((index) => index(at)),
        )
    }
    case 'broadcast':
    case 'reduce':
      // of one element
      return get(visit(node.x))
    default:
      throw new Error(`evaluateExpressions: ${node.op} is not element-wise`)
  }
}
