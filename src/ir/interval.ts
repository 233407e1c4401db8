import { isInteger } from './dtype.ts'
import { binaryRule, castRule, unaryRule } from './interval-arithmetic.ts'
import { type Interval, unknownInterval } from './interval-bounds.ts'
import type { Node, TensorParam } from './node.ts'
import type { RangeExtremes } from './range-extremes.ts'

/** An expression that is read over intervals of its variables. */
export interface IntervalReading {
  /** the variables that the expression depends on */
  readonly uses: ReadonlySet<Node>
  /**
   * `bounds` holds lo and hi of each variable, in order. Returns the interval of the expression, overwritten by the next
   * call: the value at every point of the box lies in it.
   */
  evaluate(bounds: ArrayLike<number>): Interval
}

/** A captured tensor as the host knows it: its sizes, and the extremes of its rows. */
export interface KnownTensor {
  readonly shape: readonly number[]
  readonly extremes: RangeExtremes
}

/**
 * Compiles an expression of scalar variables into its reading over intervals. It is never wrong: floats are widened by what
 * back ends may round, integers that may wrap around become unknown, and so does everything that is not element-wise.
 * `known` gives the captured integer tensors whose elements the host knows; a load at an interval of indices then reads
 * between the extremes of that range (and 0 where it may leave the tensor).
 */
export function readIntervals(
  root: Node,
  variables: readonly Node[],
  known: (tensor: TensorParam) => KnownTensor | null = () => null,
): IntervalReading {
  const slots = new Map<Node, Interval>()
  const steps: (() => void)[] = []
  const uses = new Set<Node>()

  const visit = (node: Node): Interval => {
    const done = slots.get(node)
    if (done) return done
    const out: Interval = { lo: 0, hi: 0 }
    unknownInterval(node.dtype, out)
    switch (node.op) {
      case 'const':
        if (!Number.isNaN(node.value)) out.lo = out.hi = node.value
        break
      case 'iota':
        out.lo = 0
        out.hi = Math.max(node.rows, node.cols) - 1
        break
      case 'unary': {
        const [x, rule] = [visit(node.x), unaryRule(node.fn, node.x.dtype)]
        steps.push(() => rule(x.lo, x.hi, out))
        break
      }
      case 'binary': {
        const [a, b, rule] = [visit(node.a), visit(node.b), binaryRule(node.fn, node.a.dtype)]
        steps.push(() => rule(a.lo, a.hi, b.lo, b.hi, out))
        break
      }
      case 'cast': {
        const [x, rule] = [visit(node.x), castRule(node.x.dtype, node.dtype)]
        steps.push(() => rule(x.lo, x.hi, out))
        break
      }
      case 'lookup': {
        visit(node.x)
        out.lo = Math.min(...node.table)
        out.hi = Math.max(...node.table)
        break
      }
      case 'select': {
        const [cond, a, b] = [visit(node.cond), visit(node.a), visit(node.b)]
        steps.push(() => {
          out.lo = cond.lo ? a.lo : cond.hi ? Math.min(a.lo, b.lo) : b.lo
          out.hi = cond.lo ? a.hi : cond.hi ? Math.max(a.hi, b.hi) : b.hi
        })
        break
      }
      case 'broadcast':
      case 'transpose': {
        const x = visit(node.x)
        slots.set(node, x)
        return x
      }
      case 'load': {
        const tensor = isInteger(node.dtype) ? known(node.tensor) : null
        const indices = node.indices.map(visit)
        const where = node.where && visit(node.where)
        if (tensor) steps.push(loadStep(tensor, indices, where, out))
        break
      }
      case 'arg': {
        const at = variables.indexOf(node)
        if (at < 0) break
        uses.add(node)
        slots.set(node, out)
        inputs.push({ at, out })
        return out
      }
      case 'programId':
      case 'scalar':
      case 'size':
      case 'dot':
      case 'reduce':
      case 'scan':
      case 'loop':
      case 'result':
      case 'store':
        // the expression itself, not its reading, decides here: what it uses must still be found
        for (const variable of variablesOf(node, variables)) uses.add(variable)
        break
      default:
        node satisfies never
    }
    slots.set(node, out)
    return out
  }
  const inputs: { at: number; out: Interval }[] = []
  const result = visit(root)
  return {
    uses,
    evaluate(bounds) {
      for (const { at, out } of inputs) {
        out.lo = bounds[2 * at] as number
        out.hi = bounds[2 * at + 1] as number
      }
      for (const step of steps) step()
      return result
    },
  }
}

/** The variables that a node is computed from; all of them for a loop, whose body may use any. */
function variablesOf(node: Node, variables: readonly Node[]): readonly Node[] {
  if (node.op === 'dot') return [...variablesBelow(node.a, variables), ...variablesBelow(node.b, variables)]
  if (node.op === 'reduce' || node.op === 'scan') return variablesBelow(node.x, variables)
  return node.op === 'loop' || node.op === 'result' || node.op === 'store' ? variables : []
}

function variablesBelow(node: Node, variables: readonly Node[]): readonly Node[] {
  return [...readIntervals(node, variables).uses]
}

/** A load from a tensor whose elements are known: extremes along the last dimension, everything when another index varies. */
function loadStep(
  { shape, extremes }: KnownTensor,
  indices: readonly Interval[],
  where: Interval | null,
  out: Interval,
): () => void {
  const last = shape.length - 1
  return () => {
    if (where && !where.hi) {
      out.lo = out.hi = 0
      return
    }
    let [row, varies, leaves, misses] = [0, false, where !== null && !where.lo, false]
    for (let dim = 0; dim <= last; dim++) {
      const index = indices[dim] as Interval
      const size = shape[dim] as number
      if (index.lo < 0 || index.hi >= size) leaves = true
      if (index.hi < 0 || index.lo >= size) misses = true
      if (dim === last) break
      if (index.lo !== index.hi) varies = true
      row = row * size + index.lo
    }
    if (misses) {
      out.lo = out.hi = 0
      return
    }
    const column = indices[last] as Interval
    if (varies || last < 0) {
      out.lo = extremes.lo
      out.hi = extremes.hi
    } else {
      extremes.row(row, Math.max(column.lo, 0), Math.min(column.hi, (shape[last] as number) - 1), out)
    }
    if (leaves) {
      out.lo = Math.min(out.lo, 0)
      out.hi = Math.max(out.hi, 0)
    }
  }
}
