import type { Node } from '../ir/index.ts'
import type { FragmentLayout } from './fragment-layout.ts'
import type { FragmentRoles } from './fragment-roles.ts'
import type { Lowering } from './lowering.ts'
import type { NodeUses } from './node-uses.ts'
import type { TextWriter } from './text-writer.ts'

/** Everything that the writing of one fragment kernel shares. */
export interface FragmentContext {
  /** values held by lanes: row i is row `thread_row + i · M · groupRows`, chunk j the columns from `4 · (lane % lanesPerRow + j · lanesPerRow)` */
  readonly l: Lowering
  readonly w: TextWriter
  readonly layout: FragmentLayout
  readonly roles: FragmentRoles
  readonly uses: NodeUses
  /**
   * the invocations of a subgroup see each other's writes to workgroup memory in program order, so that what stays within a
   * subgroup needs no barrier
   */
  readonly inStep: boolean
}

/** A barrier between invocations of one subgroup. */
export function meet(c: FragmentContext): void {
  if (!c.inStep) c.w.line('workgroupBarrier();')
}

/** `var` declarations are zero; these types are declared by the kernel. */
export const leftMatrix = 'Left'
export const rightMatrix = 'Right'
export const resultMatrix = 'Result'

/** Columns of a result that one subgroup holds. */
export function columnsHeld(c: FragmentContext, cols: number): number {
  return cols / c.layout.distribution.groupCols
}

/** The i32 expression of the first row of block i of this subgroup. */
export function blockRow(c: FragmentContext, i: number): string {
  const { config, groupRows } = c.layout.distribution
  return i ? `(block_row + ${i * groupRows * config.M}i)` : 'block_row'
}

/** The name of one matrix of an accumulator or product. */
export function fragment(name: string, i: number, n: number): string {
  return `${name}_${i}_${n}`
}

export function idOf(c: FragmentContext, node: Node): number {
  const id = c.l.program.ids.get(node)
  if (id === undefined) throw new Error(`fragment lowering: a ${node.op} without a number`)
  return id
}
