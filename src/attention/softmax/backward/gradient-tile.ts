import { load, type Operand, select, type TensorParam, type Value } from '../../../tile/index.ts'
import type { ScoreGradient } from '../../backward/score-gradient.ts'
import type { NormalizerGradient } from '../../backward/weight-gradient.ts'
import { dropoutFactor } from '../../dropout.ts'
import type { Position } from '../../hooks.ts'
import type { AttendSpec } from '../attend-tile.ts'

/** All that specialises the programs of the backward; lengths, strides, scale and the block structure are run-time values. */
export interface BackwardProgramSpec extends AttendSpec {
  readonly headDim: number
  readonly valueDim: number
  readonly groupSize: number
  readonly tileQ: number
  readonly packed: boolean
  /** sizes of tiles are rounded up to a multiple of this */
  readonly padTo: number
  readonly alignment: number
  readonly gradient: NormalizerGradient
  /** the derivative of `scoreMod`, where there is one */
  readonly scoreGradient: ScoreGradient | null
}

/** The row terms of some queries, from their tensor [terms, B, H, T]; `queries` runs along rows or columns. 0 outside `where`. */
export function loadRowTerms(
  { gradient }: BackwardProgramSpec,
  rows: TensorParam,
  batch: Operand,
  head: Value,
  queries: Value,
  where?: Value,
): readonly Value[] {
  const options = where ? { where } : {}
  return Array.from({ length: gradient.termCount }, (_, term) => load(rows, [term, batch, head, queries], options))
}

/** One tile of scores as the backward meets it, in either orientation: [tileQ, tileK], or transposed. */
export interface ScoreTile {
  /** q·k: times the factor already where `dtype` is f32 */
  readonly product: Value
  /** dOutput·v; null in a pass that has scores only */
  readonly dP: Value | null
  readonly scale: Value
  /** those of the tile's queries */
  readonly terms: readonly Value[]
  readonly position: Position
  /** where query and key are inside their sequence */
  readonly inside: Value
  /** all pairs are allowed (scalar) */
  readonly full: Value
  /** queries run along the columns */
  readonly transposed: boolean
}

/**
 * The scores of a tile as the normalizer is given them, −∞ where the mask forbids; `score` before the score function, in
 * natural units, and which pairs are allowed unless the tile is full.
 */
export function maskedScores(
  { dtype, scoreMod, maskMod, normalizer }: BackwardProgramSpec,
  { product, scale, position, inside, full }: ScoreTile,
): { score: Value; s: Value; allowed: Value } {
  const score = dtype === 'f32' ? product : product.mul(scale)
  let s = scoreMod ? scoreMod({ score, ...position }) : score
  if (scoreMod && normalizer.units === 'log2') s = s.mul(Math.LOG2E)
  const allowed = maskMod ? maskMod(position).and(inside) : inside
  return { score, s: select(full, s, select(allowed, s, Number.NEGATIVE_INFINITY)), allowed }
}

/**
 * The weights of a tile that met its values, computed again from the row terms, and the gradient of its scores before the
 * score function, in natural units; and what each captured element that the score function reads gets of it, in the order
 * of `scoreGradient.loads`. All are 0 where the mask forbids; dropped weights are 0 and pass nothing on.
 */
export function gradientTile(
  spec: BackwardProgramSpec,
  tile: ScoreTile,
): { p: Value; dS: Value; captured: readonly Value[] } {
  const { terms, position, full, transposed } = tile
  const { dropout, gradient, scoreGradient } = spec
  const { score, s, allowed } = maskedScores(spec, tile)
  const kept = dropout ? dropoutFactor(dropout, position) : null
  const dP = tile.dP as Value
  const { p: weights, dS } = gradient.tile({ s, dP: kept ? dP.mul(kept) : dP, terms })
  const p = kept ? weights.mul(kept) : weights
  if (!scoreGradient) return { p, dS, captured: [] }
  const { dScore, captured } = scoreGradient.instantiate({ score, ...position }, dS, { transposed })
  // where a score is masked its function may have no finite slope
  const masked = (gradient: Value) => select(full, gradient, select(allowed, gradient, 0))
  return { p, dS: masked(dScore), captured: captured.map(({ value }) => masked(value)) }
}
