import { indexForm } from '../../ir/affine.ts'
import { isScalar, type LoadNode, type Node } from '../../ir/node.ts'
import { get, type Instruction, i32, type Local, op } from '../assembler/instruction.ts'
import { isElementwise } from '../plan/node-class.ts'
import { isContiguous } from './emit-access.ts'
import { scalarValue } from './emit-scalar.ts'
import type { EmitScope } from './emit-scope.ts'
import { elementBytes } from './kernel-frame.ts'
import type { PassFrame } from './pass-frame.ts'

/** Loads whose rows follow one another by a constant step, all inside: their addresses are counted up, not computed. */
export interface SteadyRows {
  /** whether all rows of all loads are inside */
  readonly test: Instruction
  /** address of each load's first row, and the bytes to the next; to be put into locals once */
  readonly loads: readonly {
    readonly node: LoadNode
    readonly first: () => Instruction
    readonly step: () => Instruction
  }[]
}

/** How the rows of the loads that a value is computed from lie, where all of them are steady; else null. */
export function steadyRows(frame: PassFrame, value: Node): SteadyRows | null {
  const { scope } = frame
  const nodes = loadsOf(scope, value, frame.decisions)
  let test: Instruction = i32(1)
  const require = (part: Instruction) => {
    test = op('i32.and', test, part)
  }
  const loads: SteadyRows['loads'][number][] = []
  for (const node of nodes) {
    const { tensor, dims, where } = scope.plan.accesses.of(node)
    const last = dims.length - 1
    if (!isContiguous(scope.plan.accesses.of(node), frame.laneAxis)) return null
    if (where) {
      const all = everyRow(scope, where, frame.rows)
      if (!all) return null
      require(all)
    }
    const steps: number[] = []
    for (const [index, dim] of dims.entries()) {
      if (index === last) {
        if (dim.kind !== 'range') return null
        continue
      }
      if (dim.kind === 'general') return null
      const at = () => scalarValue(scope, dim.base)
      const known = tensor.sizes[index]
      const size = () => (typeof known === 'number' ? i32(known) : scope.frame.size(tensor, index))
      if (dim.kind === 'uniform') require(op('i32.lt_u', at(), size()))
      else {
        steps.push(index)
        require(op('i32.ge_s', at(), i32(0)))
        require(op('i32.le_s', at(), op('i32.sub', size(), i32(frame.rows))))
      }
    }
    loads.push({
      node,
      first: () =>
        dims.reduce<Instruction>((address, dim, index) => {
          if (dim.kind === 'general') return address
          const width = index === last ? i32(elementBytes(tensor.dtype)) : scope.frame.stride(tensor, index)
          return op('i32.add', address, op('i32.mul', scalarValue(scope, dim.base), width))
        }, scope.frame.pointer(tensor)),
      step: () =>
        steps.reduce<Instruction>((sum, index) => op('i32.add', sum, scope.frame.stride(tensor, index)), i32(0)),
    })
  }
  return { test, loads }
}

/** Whether a condition holds in every row: a scalar, or rows that follow one another below a bound; null for any other. */
function everyRow(scope: EmitScope, where: Node, rows: number): Instruction | null {
  if (isScalar(where)) return scalarValue(scope, where)
  if (where.op !== 'binary' || where.fn !== 'lt' || where.a.dtype !== 'i32' || where.b.dtype !== 'i32') return null
  const [row, bound] = [indexForm(where.a), where.b]
  if (row.kind !== 'range' || row.axis !== 'rows' || !isScalar(bound)) return null
  return op('i32.le_s', scalarValue(scope, row.base), op('i32.sub', scalarValue(scope, bound), i32(rows)))
}

/** The loads among what the lanes of a value are computed from, by the decided selects. */
function loadsOf(scope: EmitScope, value: Node, decisions: ReadonlyMap<Node, boolean>): readonly LoadNode[] {
  const found = new Set<LoadNode>()
  const seen = new Set<Node>()
  const visit = (node: Node) => {
    if (seen.has(node) || isScalar(node)) return
    seen.add(node)
    if (node !== value && (scope.plan.buffered(node) || !isElementwise(node))) return
    const taken = node.op === 'select' ? decisions.get(node.cond) : undefined
    if (node.op === 'select' && taken !== undefined) {
      visit(taken ? node.a : node.b)
      return
    }
    if (node.op === 'load') found.add(node)
    for (const input of scope.plan.inputsOf(node)) visit(input)
  }
  visit(value)
  return [...found]
}

/** The locals that count a load's rows. */
export interface RowCount {
  readonly node: LoadNode
  readonly width: number
  /** address of the first row of a turn */
  readonly base: Local
  /** bytes to the next row, and to the first of the next turn */
  readonly step: Local
  readonly turn: Local
}

/** Puts first addresses and steps of steady loads into locals; a turn has `rows` rows. */
export function countRows({ f }: EmitScope, steady: SteadyRows | null, rows: number): readonly RowCount[] {
  return (steady?.loads ?? []).map(({ node, first, step }) => {
    const base = f.let(first(), 'first')
    const stepLocal = f.let(step(), 'step')
    const turn = f.let(op('i32.mul', get(stepLocal), i32(rows)), 'turn')
    return { node, width: elementBytes(node.tensor.dtype), base, step: stepLocal, turn }
  })
}
