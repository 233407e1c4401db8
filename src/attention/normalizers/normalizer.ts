import type { Value } from '../../tile/index.ts'

/** Row vectors [tileQ, 1] that a normaliser carries from one key tile to the next. */
export type RowState = Readonly<Record<string, Value>>

/**
 * How scores become weights: output = scale · Σ p·v over key tiles, where what was summed before is multiplied by `alpha`
 * whenever the state's stabiliser moves. A hook: write another as an object of this shape and pass it as `normalizer`.
 * Masked scores arrive as −∞ and must get weight 0; a row of nothing but −∞ must give output 0, never NaN.
 * `checkNormalizer` holds one to its definition.
 */
export interface Normalizer {
  readonly name: string
  /** what `step` is given: scores times log2 e, or scores as they are */
  readonly units: 'log2' | 'natural'
  /**
   * The same in natural units, for one in log2 units: taken where a `scoreMod` made the scores, which may be so large that
   * log2 e brings them out of range. Without it such scores are multiplied by log2 e.
   */
  readonly natural?: Normalizer
  /**
   * For decode, which splits the keys: what a state's sums are relative to. States of disjoint keys merge as
   * Σ 2^(mᵢ − m)·sumᵢ, for `l` and for Σ p·v alike, and output = Σ p·v / l, lse = m·ln 2 + ln l; in natural units e^(mᵢ − m)
   * and m + ln l. Null where they do not: decode then runs as prefill does.
   */
  readonly split: ((state: RowState) => { m: Value; l: Value }) | null
  init(tileQ: number): RowState
  /** one tile of scores [tileQ, tileK]: the new state, the weights, and the factor for what was summed before (null: 1) */
  step(state: RowState, s: Value): { state: RowState; p: Value; alpha: Value | null }
  /**
   * After the last tile: the factor of the output (null: 1) and the row's `lse`. `sink` [tileQ, 1] is an extra logit
   * (natural units) that takes weight and gives no value.
   */
  finish(state: RowState, sink: Value | null): { scale: Value | null; lse: Value }
  /**
   * For the backward pass: the final state of a row, given back from its `lse` (and sink), up to a shift of the stabiliser
   * that `finish` undoes. Rows with nothing to attend to have lse −∞ and must get a finite stabiliser. Without it, the
   * backward pass streams the keys once more to find the state.
   */
  resume?(lse: Value, sink: Value | null): RowState
}
