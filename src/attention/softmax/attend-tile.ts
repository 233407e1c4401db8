import { colRange, dot, type StorageDType, select, type Value } from '../../tile/index.ts'
import { type Dropout, dropoutFactor } from '../dropout.ts'
import type { MaskMod, Position, ScoreMod } from '../hooks.ts'
import type { Normalizer, RowState } from '../normalizers/normalizer.ts'

/** What attention to one tile of keys is specialised by, in prefill and in decode. */
export interface AttendSpec {
  readonly dtype: StorageDType
  readonly tileK: number
  readonly normalizer: Normalizer
  readonly scoreMod: ScoreMod | null
  readonly maskMod: MaskMod | null
  /** drops weights; none by default */
  readonly dropout?: Dropout | null
}

/** Does the factor of the scores carry log2 e: no score function asks for natural units, and the normalizer wants log2. */
export function scalesToLog2({ scoreMod, normalizer }: AttendSpec): boolean {
  return scoreMod === null && normalizer.units === 'log2'
}

/** f32 queries are scaled once, which is exact enough; narrow ones would be rounded again, so their scores are scaled. */
export function scaleQuery({ dtype }: AttendSpec, query: Value, scale: Value): Value {
  return dtype === 'f32' ? query.mul(scale) : query
}

/** A tile of keys and of values, as the kernel has read them: whole, or their columns in parts. */
export interface KeyTile {
  readonly keys: readonly Value[] // [tileK, D], or columns of it
  readonly values: readonly Value[] // [tileK, Dv], or columns of it
  /** factors of the parts of keys, and of whole values [1, tileK], where they are stored in units of their own */
  readonly keyScales?: readonly Value[]
  readonly valueScale?: Value
}

/** Reads the tile of keys from `kStart` on, wherever it lies. */
export type KeyTiles = (kStart: Value) => KeyTile

/** What stays the same from tile to tile. */
export interface AttendedKeys {
  readonly tiles: KeyTiles
  /** the queries as `scaleQuery` gives them [tileQ, D], in the parts of the keys, and the factor it took */
  readonly query: readonly Value[]
  readonly scale: Value
  readonly position: Omit<Position, 'k'>
}

/** The name that the accumulator of part `part` of the values is carried by. */
export function accumulatorName(part: number): string {
  return part === 0 ? 'acc' : `acc${part}`
}

/** query · key, a part after the other; neighbours in the same units are summed before they are scaled. */
function products(query: readonly Value[], { keys, keyScales }: KeyTile): Value {
  const sums: { sum: Value; scale: Value | undefined }[] = []
  for (const [i, part] of keys.entries()) {
    const product = dot(query[i] as Value, part.T)
    const scale = keyScales?.[i]
    const last = sums.at(-1)
    if (last && last.scale === scale) last.sum = last.sum.add(product)
    else sums.push({ sum: product, scale })
  }
  return sums.map(({ sum, scale }) => (scale ? sum.mul(scale) : sum)).reduce((a, b) => a.add(b))
}

/**
 * One round of attention: scores of the tile of keys from `kStart`, hooks, mask unless the tile is `full`, and the row state
 * and accumulators after it.
 */
export function attendTile(
  spec: AttendSpec,
  keys: AttendedKeys,
  kStart: Value,
  full: Value,
  carried: Readonly<Record<string, Value>>,
): Record<string, Value> {
  const { tileK, normalizer, scoreMod, maskMod, dtype } = spec
  const { query, scale, position } = keys
  const tile = keys.tiles(kStart)
  const k = colRange(kStart, tileK) //                                               [1, tileK]
  let s = products(query, tile) //                                                   [tileQ, tileK]
  if (dtype !== 'f32') s = s.mul(scale)
  if (scoreMod) s = scoreMod({ score: s, ...position, k })
  if (scoreMod && normalizer.units === 'log2') s = s.mul(Math.LOG2E)
  const inside = k.lt(position.kLength)
  const allowed = maskMod ? maskMod({ ...position, k }).and(inside) : inside
  s = select(full, s, select(allowed, s, Number.NEGATIVE_INFINITY))
  const { state, p, alpha } = normalizer.step(carried as RowState, s)
  // the row sums keep what is dropped: weights of the normalizer are scaled, not divided anew
  const kept = spec.dropout ? p.mul(dropoutFactor(spec.dropout, { ...position, k })) : p
  const weights = tile.valueScale ? kept.mul(tile.valueScale) : kept
  const next: Record<string, Value> = { ...state }
  tile.values.forEach((part, i) => {
    const acc = carried[accumulatorName(i)] as Value
    next[accumulatorName(i)] = (alpha ? acc.mul(alpha) : acc).add(dot(weights, part)) // [tileQ, Dv]
  })
  return next
}
