import { colRange, dot, type StorageDType, select, type Value } from '../../tile/index.ts'
import type { MaskMod, Position, ScoreMod } from '../hooks.ts'
import type { Normalizer, RowState } from '../normalizers/normalizer.ts'

/** What attention to one tile of keys is specialised by, in prefill and in decode. */
export interface AttendSpec {
  readonly dtype: StorageDType
  readonly tileK: number
  readonly normalizer: Normalizer
  readonly scoreMod: ScoreMod | null
  readonly maskMod: MaskMod | null
}

/** Does the factor of the scores carry log2 e: no score function asks for natural units, and the normalizer wants log2. */
export function scalesToLog2({ scoreMod, normalizer }: AttendSpec): boolean {
  return scoreMod === null && normalizer.units === 'log2'
}

/** f32 queries are scaled once, which is exact enough; narrow ones would be rounded again, so their scores are scaled. */
export function scaleQuery({ dtype }: AttendSpec, query: Value, scale: Value): Value {
  return dtype === 'f32' ? query.mul(scale) : query
}

/** A tile of keys and of values, as the kernel has read them. */
export interface KeyTile {
  readonly key: Value // [tileK, D]
  readonly value: Value // [tileK, Dv]
  /** factors of whole keys and values [1, tileK], where they are stored in units of their own */
  readonly keyScale?: Value
  readonly valueScale?: Value
}

/** Reads the tile of keys from `kStart` on, wherever it lies. */
export type KeyTiles = (kStart: Value) => KeyTile

/** What stays the same from tile to tile. */
export interface AttendedKeys {
  readonly tiles: KeyTiles
  /** the queries as `scaleQuery` gives them [tileQ, D], and the factor it took */
  readonly query: Value
  readonly scale: Value
  readonly position: Omit<Position, 'k'>
}

/**
 * One round of attention: scores of the tile of keys from `kStart`, hooks, mask unless the tile is `full`, and the row state
 * and accumulator after it.
 */
export function attendTile(
  spec: AttendSpec,
  keys: AttendedKeys,
  kStart: Value,
  full: Value,
  { acc, ...state }: Readonly<Record<string, Value>>,
): Record<string, Value> {
  const { tileK, normalizer, scoreMod, maskMod, dtype } = spec
  const { query, scale, position } = keys
  const tile = keys.tiles(kStart)
  const k = colRange(kStart, tileK) //                                               [1, tileK]
  let s = dot(query, tile.key.T) //                                                  [tileQ, tileK]
  if (tile.keyScale) s = s.mul(tile.keyScale)
  if (dtype !== 'f32') s = s.mul(scale)
  if (scoreMod) s = scoreMod({ score: s, ...position, k })
  if (scoreMod && normalizer.units === 'log2') s = s.mul(Math.LOG2E)
  const inside = k.lt(position.kLength)
  const allowed = maskMod ? maskMod({ ...position, k }).and(inside) : inside
  s = select(full, s, select(allowed, s, Number.NEGATIVE_INFINITY))
  const { state: next, p, alpha } = normalizer.step(state as RowState, s)
  const weights = tile.valueScale ? p.mul(tile.valueScale) : p
  const kept = alpha ? (acc as Value).mul(alpha) : (acc as Value)
  return { ...next, acc: kept.add(dot(weights, tile.value)) } //                     [tileQ, Dv]
}
