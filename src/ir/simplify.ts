import { cast, constant, select } from './build.ts'
import type { DType } from './dtype.ts'
import { isFloat } from './dtype.ts'
import type { EffectNode, LoopNode, Node, Param, TensorParam } from './node.ts'
import { binaryMath, unaryMath } from './scalar-math.ts'

/**
 * Rewrites a graph so that equal expressions are one node, constants are folded and no-ops are gone. Captured tensors get
 * one parameter each, named captured0, captured1 … in order of first use, so that a program's text names no object.
 */
export function simplify(effects: readonly EffectNode[]): EffectNode[] {
  return rewrite(effects, (tensor, nth) => ({ ...tensor, name: `captured${nth}` }))
}

/** The same of expressions that are not yet part of a program: symbols stay, captured tensors get one parameter each as they are. */
export function simplifyExpressions(roots: readonly Node[]): Node[] {
  return rewrite(roots, (tensor) => tensor)
}

/** `parameterOf` makes the one parameter of the nth captured tensor from the first that is met. */
function rewrite<T extends Node>(
  roots: readonly T[],
  parameterOf: (tensor: TensorParam, nth: number) => TensorParam,
): T[] {
  const done = new Map<Node, Node>()
  const interned = new Map<string, Node>()
  const numbers = new Map<object, number>()
  const numberOf = (object: object) => {
    const known = numbers.get(object)
    if (known !== undefined) return known
    numbers.set(object, numbers.size)
    return numbers.size - 1
  }
  const keyOf = (node: Node): string => {
    let key = ''
    for (const [field, value] of Object.entries(node)) {
      if (value === null || typeof value !== 'object') key += `${field}=${Object.is(value, -0) ? '-0' : value};`
      else if (Array.isArray(value)) key += `${field}=[${value.map((v: object) => numberOf(v)).join(',')}];`
      else key += `${field}=#${numberOf(value as Node | Param)};`
    }
    return key
  }
  const intern = (node: Node): Node => {
    if (node.op === 'arg' || node.op === 'loop' || node.op === 'store') return node
    const key = keyOf(node)
    const known = interned.get(key)
    if (known) return known
    interned.set(key, node)
    return node
  }
  const captured = new Map<object, TensorParam>()
  const rename = (tensor: TensorParam): TensorParam => {
    if (!tensor.source) return tensor
    const known = captured.get(tensor.source)
    if (known) return known
    const renamed = parameterOf(tensor, captured.size)
    captured.set(tensor.source, renamed)
    return renamed
  }
  const visit = <N extends Node>(node: N): N => {
    const known = done.get(node)
    if (known) return known as N
    const rebuilt = intern(fold(rebuild(node, visit, rename)))
    done.set(node, rebuilt)
    return rebuilt as N
  }
  return roots.map(visit)
}

function rebuild(node: Node, visit: <T extends Node>(n: T) => T, rename: (tensor: TensorParam) => TensorParam): Node {
  switch (node.op) {
    case 'unary':
    case 'cast':
    case 'lookup':
    case 'broadcast':
    case 'transpose':
    case 'reduce':
    case 'scan':
      return { ...node, x: visit(node.x) }
    case 'binary':
    case 'dot':
      return { ...node, a: visit(node.a), b: visit(node.b) }
    case 'select':
      return { ...node, cond: visit(node.cond), a: visit(node.a), b: visit(node.b) }
    case 'load':
      return {
        ...node,
        tensor: rename(node.tensor),
        indices: node.indices.map(visit),
        where: node.where && visit(node.where),
      }
    case 'store':
      return {
        ...node,
        indices: node.indices.map(visit),
        value: visit(node.value),
        where: node.where && visit(node.where),
      }
    case 'size':
      return { ...node, tensor: rename(node.tensor) }
    case 'result':
      return { ...node, loop: visit<LoopNode>(node.loop) }
    case 'loop':
      return {
        ...node,
        from: visit(node.from),
        to: visit(node.to),
        inits: node.inits.map(visit),
        results: node.results.map(visit),
        effects: node.effects.map(visit),
      }
    default:
      return node
  }
}

const rounded = (value: number, dtype: DType) => (isFloat(dtype) ? Math.fround(value) : value)

/** One node, its operands already simple, replaced by an equal simpler one. */
function fold(node: Node): Node {
  if (
    node.op === 'unary' &&
    node.x.op === 'const' &&
    ((node.dtype !== 'i32' && node.dtype !== 'u32') || node.fn !== 'not')
  ) {
    return constant(rounded(unaryMath[node.fn](node.x.value), node.dtype), node.dtype, node.rows, node.cols)
  }
  if (node.op === 'select' && node.cond.op === 'const') return sameShape(node.cond.value ? node.a : node.b, node)
  if (
    node.op === 'cast' &&
    node.x.op === 'cast' &&
    node.x.x.dtype === node.dtype &&
    isFloat(node.dtype) &&
    node.x.dtype === 'f32'
  )
    return node.x.x
  if (node.op === 'cast' && node.x.op === 'const') return cast(node.x, node.dtype)
  if (node.op !== 'binary') return node
  const { fn, a, b } = node
  if (a.op === 'const' && b.op === 'const') {
    return constant(rounded(binaryMath(fn, a.dtype)(a.value, b.value), node.dtype), node.dtype, node.rows, node.cols)
  }
  const isValue = (n: Node, value: number) => n.op === 'const' && Object.is(n.value, value)
  if (fn === 'and') {
    if (node.dtype === 'bool' && isValue(a, 1)) return sameShape(b, node)
    if (node.dtype === 'bool' && isValue(b, 1)) return sameShape(a, node)
  }
  if (fn === 'add' || fn === 'sub') if (isValue(b, 0)) return sameShape(a, node)
  if (fn === 'add' && isValue(a, 0)) return sameShape(b, node)
  if (fn === 'mul' || fn === 'div') if (isValue(b, 1)) return sameShape(a, node)
  if (fn === 'mul' && isValue(a, 1)) return sameShape(b, node)
  return node
}

/** `x`, which has the value of `node`, or `node` itself where x would have to be broadcast to take its place. */
function sameShape(x: Node, node: Node): Node {
  if (x.rows === node.rows && x.cols === node.cols) return x
  if (x.op === 'const') return constant(x.value, x.dtype, node.rows, node.cols)
  return node.op === 'select' && node.cond.op === 'const' && node.cond.rows * node.cond.cols > 1
    ? select(constant(node.cond.value, 'bool'), node.a, node.b)
    : node
}
