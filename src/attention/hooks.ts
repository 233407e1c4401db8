import type { Operand, TensorSpec, Value } from '../tile/index.ts'

/**
 * Where a score stands: query q attends to key k. Inside a kernel q is a row vector [tileQ, 1], k a column vector
 * [1, tileK], the rest are scalars or row vectors (all i32); one pass of the backward has its tiles transposed, q along the
 * columns and k down the rows. Packed sequences: q and k count from the start of the sequence and `batch` counts sequences.
 */
export interface Position {
  readonly q: Value
  readonly k: Value
  readonly head: Value
  readonly batch: Value
  /** how many queries and keys this sequence has; run-time values, so that masks using them never recompile */
  readonly qLength: Value
  readonly kLength: Value
}

/** True where query q may attend to key k: an element-wise function of the position. */
export type MaskMod = (position: Position) => Value

/** What a score function is given: the position, and the score in natural units, after scaling. */
export interface ScoreContext extends Position {
  readonly score: Value
}
/** Changes a score: an element-wise function. */
export type ScoreMod = (context: ScoreContext) => Value

/** A tensor as hooks use it: `ids.at(q)` is its element, symbolically. Every device tensor is one. */
export interface Captured extends TensorSpec {
  at(...indices: readonly Operand[]): Value
}
