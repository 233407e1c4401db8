import type { Axis, Node } from '../ir/index.ts'
import type { DotNode, LoopNode } from '../ir/node.ts'
import { chunkCount, chunkWidth, rowCount, type ThreadGrid } from './thread-grid.ts'

export type StagedType = 'f32' | 'f16'

/** How an operand of `dot` lies in workgroup memory: lines of chunks of four, in the orientation of the tile itself. */
export interface StagedOperand {
  readonly node: Node
  /** the axis of the tile that is the inner dimension: cols, a line per outer position; rows, a line per inner one */
  readonly inner: Axis
  readonly source: 'virtual' | 'registers'
  readonly type: StagedType
  /** positions along the inner dimension that are staged at once */
  readonly length: number
  readonly lines: number
  /** chunks from one line to the next; odd for lines along the inner dimension, so that neighbours hit different banks */
  readonly stride: number
  /** lines are placed so that line 4n + c follows line 4(n − 1) + c: neighbours in the grid read neighbouring lines */
  readonly permuted: boolean
  /** staged once, before this loop, and kept */
  readonly before: LoopNode | null
}

export interface DotPlan {
  readonly dot: DotNode
  readonly a: StagedOperand
  readonly b: StagedOperand
  readonly innerSize: number
  /** positions multiplied between two barriers; innerSize when the operands fit */
  readonly slice: number
}

export function innerSize(dot: DotNode): number {
  return dot.transposeA ? dot.a.rows : dot.a.cols
}

/** Chunks of workgroup memory that an operand takes. */
export function stagedChunks(operand: StagedOperand): number {
  return operand.lines * operand.stride
}

/** The layout of one operand when `length` positions of the inner dimension are staged at once. */
export function stagedOperand(
  dot: DotNode,
  side: 'a' | 'b',
  grid: ThreadGrid,
  source: StagedOperand['source'],
  type: StagedType,
  length: number,
  before: LoopNode | null,
): StagedOperand {
  const inner: Axis = side === 'a' ? (dot.transposeA ? 'rows' : 'cols') : dot.transposeB ? 'cols' : 'rows'
  // what the grid reads, padding included
  const outer =
    side === 'a'
      ? dot.rows === 1
        ? 1
        : rowCount(grid, dot) * grid.rows
      : chunkWidth(dot) === 1
        ? 1
        : chunkCount(grid, dot) * grid.cols * 4
  const chunks = (n: number) => Math.ceil(n / 4)
  return {
    node: dot[side],
    inner,
    source,
    type,
    length,
    lines: inner === 'cols' ? outer : length,
    stride: inner === 'cols' ? chunks(length) | 1 : chunks(outer),
    permuted: side === 'b' && inner === 'cols' && outer % 4 === 0,
    before,
  }
}

/** Register operands are staged by whole rows or chunks of the grid: a slice must be a multiple of this. */
export function sliceGrain(operand: Pick<StagedOperand, 'inner' | 'source'>, grid: ThreadGrid): number {
  if (operand.source === 'virtual') return 4
  return operand.inner === 'rows' ? grid.rows : 4 * grid.cols
}
