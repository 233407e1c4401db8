import * as ir from './build.ts'
import { isFloat } from './dtype.ts'
import { FoveaError } from './error.ts'
import { type BinaryNode, isScalar, type Node, operands, type Typed, type UnaryFn, type UnaryNode } from './node.ts'
import { simplifyExpressions } from './simplify.ts'

/** An expression, and the gradient that arrives at it: f32, of its shape or a scalar. */
export interface Seeded {
  readonly node: Node
  readonly gradient: Node
}

/**
 * Reverse-mode derivative of pure expressions: for each variable Σ over outputs of gradient · ∂node/∂variable, as an
 * expression in f32, or null where nothing depends on it. Variables are symbols or loads of the graph; what is broadcast is
 * summed. One pass over the graph for all outputs, so a factor that they share is computed once; simplified.
 *
 * Conventions, PyTorch's where it has one: integers, booleans and steps (floor, ceil, round, sign) carry no gradient, nor does
 * a maximum or minimum *over an axis* (in normalizers it only stabilises). abs has slope 0 at 0. Of two equal operands of
 * min and max each gets half; against a constant, x.max(0) is a relu (0 at the tie), any other bound a clamp (1 at the tie).
 * select passes the gradient to the chosen side only. Throws `unsupported` for loops.
 */
export function differentiate(outputs: readonly Seeded[], variables: readonly Node[]): (Node | null)[] {
  const gradients = new Map<Node, Node>()
  const give = (node: Node, gradient: Node) => {
    const fitted = summedTo(node, gradient)
    const known = gradients.get(node)
    gradients.set(node, known ? ir.binary('add', known, fitted) : fitted)
  }
  const order = dependents(outputs, variables)
  for (const { node, gradient } of outputs)
    if (order.has(node)) give(node, ir.broadcast(gradient, node.rows, node.cols))
  for (const node of [...order].reverse()) {
    const gradient = gradients.get(node)
    if (!gradient || variables.includes(node)) continue
    for (const [operand, part] of pullBack(node, gradient)) if (order.has(operand)) give(operand, part())
  }
  const found = variables.map((variable) => gradients.get(variable) ?? null)
  const simple = simplifyExpressions(found.filter((node) => node !== null))
  return found.map((node) => node && (simple.shift() as Node))
}

/** Floating-point nodes that depend on a variable, operands before what uses them. */
function dependents(outputs: readonly Seeded[], variables: readonly Node[]): Set<Node> {
  const order = new Set<Node>()
  const known = new Map<Node, boolean>()
  const visit = (node: Node): boolean => {
    const done = known.get(node)
    if (done !== undefined) return done
    const parts = operands(node).map(visit)
    const depends = isFloat(node.dtype) && (variables.includes(node) || parts.some((part) => part))
    known.set(node, depends)
    if (depends) order.add(node)
    return depends
  }
  for (const { node } of outputs) visit(node)
  return order
}

/** A gradient summed over the axes that an operand was repeated along. */
function summedTo({ rows, cols }: Typed, gradient: Node): Node {
  let fitted = gradient
  if (rows === 1 && fitted.rows > 1) fitted = ir.reduce('sum', 'rows', fitted)
  if (cols === 1 && fitted.cols > 1) fitted = ir.reduce('sum', 'cols', fitted)
  return fitted
}

/** their slope is 0, or they take no floats */
const flat: ReadonlySet<UnaryFn> = new Set<UnaryFn>(['not', 'floor', 'ceil', 'round', 'sign', 'fromBits'])

type Part = readonly [operand: Node, gradient: () => Node]

/** What each operand gets of a node's gradient `g`. */
function pullBack(node: Node, g: Node): readonly Part[] {
  switch (node.op) {
    case 'unary':
      return flat.has(node.fn) ? [] : [[node.x, () => ofUnary(node, g)]]
    case 'binary':
      return ofBinary(node, g)
    case 'select':
      return [
        [node.a, () => ir.select(node.cond, g, zeros(g))],
        [node.b, () => ir.select(node.cond, zeros(g), g)],
      ]
    case 'cast':
    case 'broadcast':
      return [[node.x, () => g]]
    case 'transpose':
      return [[node.x, () => ir.transpose(g)]]
    case 'reduce':
      return node.fn === 'sum' ? [[node.x, () => ir.broadcast(g, node.x.rows, node.x.cols)]] : []
    case 'scan':
      return [[node.x, () => ir.scan(node.axis, g, !node.reverse)]]
    case 'dot': {
      const a = node.transposeA ? ir.transpose(node.a) : node.a
      const b = node.transposeB ? ir.transpose(node.b) : node.b
      return [
        [node.a, () => turned(ir.dot(g, ir.transpose(b)), node.transposeA)],
        [node.b, () => turned(ir.dot(ir.transpose(a), g), node.transposeB)],
      ]
    }
    case 'loop':
    case 'result':
    case 'store':
      throw new FoveaError('unsupported', 'differentiate', `takes pure expressions, got a ${node.op}`)
    default:
      // const, programId, scalar, size, iota, arg: no operands; load: integers only
      return []
  }
}

const turned = (x: Node, turn: boolean) => (turn ? ir.transpose(x) : x)
const number = (value: number) => ir.constant(value)
const zeros = (like: Typed) => ir.constant(0, 'f32', like.rows, like.cols)

/** a · b, constants gathered. */
function times(a: Node, b: Node): Node {
  if (isScalar(a) && a.op === 'const') return b.op === 'const' ? product(b, a.value) : times(b, a)
  if (!isScalar(b) || b.op !== 'const') return ir.binary('mul', a, b)
  return product(a, b.value)
}

function product(x: Node, factor: number): Node {
  if (Math.fround(factor) === 1) return ir.cast(x, 'f32')
  if (x.op === 'const') return { ...x, dtype: 'f32', value: Math.fround(x.value * factor) }
  if (factor === -1) return ir.unary('neg', x)
  if (x.op === 'binary' && x.fn === 'mul')
    for (const [constant, other] of [
      [x.a, x.b],
      [x.b, x.a],
    ] as const)
      if (constant.op === 'const' && isScalar(constant)) return product(other, constant.value * factor)
  return ir.binary('mul', x, number(factor))
}

function ofUnary(node: UnaryNode, g: Node): Node {
  const { x } = node
  switch (node.fn) {
    case 'neg':
      return ir.unary('neg', g)
    case 'abs':
      return times(g, ir.unary('sign', x))
    // the value itself is known before the gradient: in this order a kernel computes it while it waits for the other
    case 'exp':
      return times(node, g)
    case 'exp2':
      return times(times(node, g), number(Math.LN2))
    case 'log':
      return ir.binary('div', g, x)
    case 'log2':
      return times(ir.binary('div', g, x), number(Math.LOG2E))
    case 'sqrt':
      return times(ir.binary('div', g, node), number(0.5))
    case 'rsqrt':
      return times(times(g, times(node, times(node, node))), number(-0.5))
    case 'reciprocal':
      return ir.unary('neg', times(g, times(node, node)))
    case 'sin':
      return times(g, ir.unary('cos', x))
    case 'cos':
      return ir.unary('neg', times(g, ir.unary('sin', x)))
    case 'tanh':
      return times(g, ir.binary('sub', number(1), times(node, node)))
    case 'sigmoid':
      return times(g, times(node, ir.binary('sub', number(1), node)))
    case 'erf':
      return times(times(g, ir.unary('exp', ir.unary('neg', times(x, x)))), number(2 / Math.sqrt(Math.PI)))
    default:
      throw new FoveaError('unsupported', 'differentiate', `${node.fn} is flat`)
  }
}

function ofBinary(node: BinaryNode, g: Node): readonly Part[] {
  const { fn, a, b } = node
  const negative = (x: Node) => ir.unary('neg', x)
  switch (fn) {
    case 'add':
      return [
        [a, () => g],
        [b, () => g],
      ]
    case 'sub':
      return [
        [a, () => g],
        [b, () => negative(g)],
      ]
    case 'mul':
      return [
        [a, () => times(g, b)],
        [b, () => times(g, a)],
      ]
    case 'div':
      return [
        [a, () => (b.op === 'const' ? times(g, number(1 / b.value)) : ir.binary('div', g, b))],
        [b, () => negative(ir.binary('div', times(g, node), b))],
      ]
    case 'mod':
      // a − b · trunc(a / b)
      return [
        [a, () => g],
        [b, () => negative(times(g, ir.unary('round', ir.binary('div', ir.binary('sub', a, node), b))))],
      ]
    case 'min':
    case 'max':
      return [
        [a, () => extreme(fn === 'max' ? 'gt' : 'lt', a, b, g)],
        [b, () => extreme(fn === 'max' ? 'gt' : 'lt', b, a, g)],
      ]
    case 'pow':
      return [
        [a, () => powerOfBase(a, b, g)],
        [b, () => powerOfExponent(node, g)],
      ]
    default:
      return []
  }
}

/** The share of `x`, against `other`: all where it wins, at ties as described above. */
function extreme(wins: 'gt' | 'lt', x: Node, other: Node, g: Node): Node {
  const won = ir.binary(wins, x, other)
  if (other.op === 'const' && other.value === 0) return ir.select(won, g, zeros(g))
  const tied = ir.binary('eq', x, other)
  if (other.op === 'const') return ir.select(ir.binary('or', won, tied), g, zeros(g))
  return ir.select(won, g, ir.select(tied, times(g, number(0.5)), zeros(g)))
}

/** exponent · base^(exponent − 1), 0 for the exponent 0 whatever the base. */
function powerOfBase(base: Node, exponent: Node, g: Node): Node {
  if (exponent.op === 'const') {
    const n = exponent.value
    if (n === 0) return zeros(g)
    const lower = n === 1 ? number(1) : n === 2 ? base : ir.binary('pow', base, number(n - 1))
    return times(times(g, lower), number(n))
  }
  const slope = times(exponent, ir.binary('pow', base, ir.binary('sub', exponent, number(1))))
  return ir.select(ir.binary('eq', exponent, number(0)), zeros(g), times(g, slope))
}

/** power · ln base, 0 at base 0 where the power stays 0 (or 1). */
function powerOfExponent(power: BinaryNode, g: Node): Node {
  const flat = ir.binary('and', ir.binary('eq', power.a, number(0)), ir.binary('ge', power.b, number(0)))
  return ir.select(flat, zeros(g), times(g, times(power, ir.unary('log', power.a))))
}
