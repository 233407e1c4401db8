import {
  colRange,
  dot,
  load,
  rowRange,
  type StorageDType,
  select,
  type TensorParam,
  type Value,
} from '../../tile/index.ts'
import type { MaskMod, Position, ScoreMod } from '../hooks.ts'
import type { Normalizer, RowState } from '../normalizers/normalizer.ts'

/** What attention to one tile of keys is specialised by, in prefill and in decode. */
export interface AttendSpec {
  readonly dtype: StorageDType
  readonly tileK: number
  readonly packed: boolean
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

/** What stays the same from tile to tile. */
export interface AttendedKeys {
  readonly key: TensorParam // [B, S, Hkv, D]
  readonly value: TensorParam // [B, S, Hkv, Dv]
  readonly width: number
  readonly valueWidth: number
  /** batch row of the tensors, head and first key of this sequence in them */
  readonly row: Value | number
  readonly kvHead: Value
  readonly kBase: Value
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
  const { tileK, packed, normalizer, scoreMod, maskMod, dtype } = spec
  const { key, value, width, valueWidth, row, kvHead, kBase, query, scale, position } = keys
  const kRows = rowRange(kStart, tileK)
  const k = colRange(kStart, tileK) //                                               [1, tileK]
  const kTile = load(key, [row, kRows.add(kBase), kvHead, colRange(0, width)]) //    [tileK, D]
  let s = dot(query, kTile.T) //                                                     [tileQ, tileK]
  if (dtype !== 'f32') s = s.mul(scale)
  if (scoreMod) s = scoreMod({ score: s, ...position, k })
  if (scoreMod && normalizer.units === 'log2') s = s.mul(Math.LOG2E)
  const inside = k.lt(position.kLength)
  const allowed = maskMod ? maskMod({ ...position, k }).and(inside) : inside
  s = select(full, s, select(allowed, s, Number.NEGATIVE_INFINITY))
  const { state: next, p, alpha } = normalizer.step(state as RowState, s)
  // beyond a packed sequence lies the next one
  const inTail = packed ? { where: kRows.lt(position.kLength) } : {}
  const vTile = load(value, [row, kRows.add(kBase), kvHead, colRange(0, valueWidth)], inTail)
  const kept = alpha ? (acc as Value).mul(alpha) : (acc as Value)
  return { ...next, acc: kept.add(dot(p, vTile)) } //                                [tileQ, Dv]
}
