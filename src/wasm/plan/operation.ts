import type { DotNode, LoopNode, Node, ReduceNode, ScanNode, StoreNode } from '../../ir/node.ts'

/** What a pass computes: a value kept in a buffer, a reduction of one, or a store to a tensor. */
export type PassRoot =
  | { readonly kind: 'value'; readonly node: Node }
  | { readonly kind: 'reduce'; readonly node: ReduceNode }
  | { readonly kind: 'store'; readonly node: StoreNode }

/** One walk over the rows and lanes of a shape, computing all its roots. */
export interface PassOperation {
  readonly kind: 'pass'
  readonly rows: number
  readonly cols: number
  readonly roots: PassRoot[]
}

/** The transpose of `source`: the value of a transpose node, or the second form of an operand of `dot`. */
export interface TransposeOperation {
  readonly kind: 'transpose'
  readonly source: Node
  /** the transpose node, or null when this is the transposed form of `source` */
  readonly node: Node | null
}

export interface ScalarOperation {
  readonly kind: 'scalar'
  readonly node: Node
}

/** A matrix product; `out` is the product itself, or the sum that it is fused into: start · factor + product. */
export interface DotOperation {
  readonly kind: 'dot'
  readonly node: DotNode
  readonly out: Node
  readonly start: { readonly base: Node; readonly factor: Node | null } | null
}

export interface ScanOperation {
  readonly kind: 'scan'
  readonly node: ScanNode
}

export interface LoopOperation {
  readonly kind: 'loop'
  readonly node: LoopNode
  readonly body: readonly Operation[]
}

export type Operation =
  | PassOperation
  | TransposeOperation
  | ScalarOperation
  | DotOperation
  | ScanOperation
  | LoopOperation
