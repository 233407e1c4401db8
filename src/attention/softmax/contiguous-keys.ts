import { colRange, load, rowRange, type TensorParam, type Value } from '../../tile/index.ts'
import type { KeyTiles } from './attend-tile.ts'

/** Where the keys and values of one sequence and head lie in tensors [B, S, Hkv, D]. */
export interface ContiguousKeys {
  readonly key: TensorParam // [B, S, Hkv, D]
  readonly value: TensorParam // [B, S, Hkv, Dv]
  readonly width: number
  readonly valueWidth: number
  /** batch row of the tensors, head and first key of this sequence in them */
  readonly row: Value | number
  readonly kvHead: Value
  readonly kBase: Value
  readonly kLength: Value
  readonly tileK: number
  readonly packed: boolean
}

/** Tiles of keys and values that follow one another in memory. */
export function contiguousKeys(keys: ContiguousKeys): KeyTiles {
  const { key, value, width, valueWidth, row, kvHead, kBase, kLength, tileK, packed } = keys
  return (kStart) => {
    const kRows = rowRange(kStart, tileK)
    // beyond a packed sequence lies the next one
    const inTail = packed ? { where: kRows.lt(kLength) } : {}
    return {
      keys: [load(key, [row, kRows.add(kBase), kvHead, colRange(0, width)])], //            [tileK, D]
      values: [load(value, [row, kRows.add(kBase), kvHead, colRange(0, valueWidth)], inTail)], // [tileK, Dv]
    }
  }
}
