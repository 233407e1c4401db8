import { exp2, load, type Operand, select, type TensorParam, type Value } from '../../../tile/index.ts'
import type { Position } from '../../hooks.ts'
import { type AttendSpec, scalesToLog2 } from '../attend-tile.ts'

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
}

/** What the backward keeps for each query row, in the order in which the tensor of row terms [terms, B, H, T] holds it. */
export const rowTermNames = ['lse', 'delta'] as const
export type RowTerms = Readonly<Record<(typeof rowTermNames)[number], Value>>

/** The row terms of queries `rows` (either a row or a column of indices). */
export function loadRowTerms(rows: TensorParam, batch: Operand, head: Value, queries: Value): RowTerms {
  const term = (name: (typeof rowTermNames)[number]) => load(rows, [rowTermNames.indexOf(name), batch, head, queries])
  return { lse: term('lse'), delta: term('delta') }
}

/** One tile of scores as the backward meets it, in either orientation: [tileQ, tileK], or transposed. */
export interface ScoreTile {
  /** q·k: times the factor already where `dtype` is f32 */
  readonly product: Value
  /** dOutput·v */
  readonly dP: Value
  readonly scale: Value
  readonly rows: RowTerms
  readonly position: Position
  /** where query and key are inside their sequence */
  readonly inside: Value
  /** all pairs are allowed (scalar) */
  readonly full: Value
}

/**
 * The weights p of a tile, computed again from the row terms, and the gradient of its scores before the score function, in
 * natural units: dS = p (dP − delta), delta = Σ_k p dP − dLse.
 */
export function gradientTile(spec: BackwardProgramSpec, tile: ScoreTile): { p: Value; dS: Value } {
  const { product, dP, scale, rows, position, inside, full } = tile
  const { dtype, scoreMod, maskMod } = spec
  let s = dtype === 'f32' ? product : product.mul(scale)
  if (scoreMod) s = scoreMod({ score: s, ...position })
  if (!scalesToLog2(spec)) s = s.mul(Math.LOG2E)
  const allowed = maskMod ? maskMod(position).and(inside) : inside
  s = select(full, s, select(allowed, s, Number.NEGATIVE_INFINITY))
  const p = exp2(s.sub(rows.lse))
  return { p, dS: p.mul(dP.sub(rows.delta)) }
}
