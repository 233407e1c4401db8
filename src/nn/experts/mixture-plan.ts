import type { DeviceKind } from '../../device/device-info.ts'
import { checkFields, type FieldsOf, FoveaError, type StorageDType } from '../../tile/index.ts'
import { listLength } from './sort-pairs.ts'

/** Sizes of a mixture layer. */
export interface MixtureSizes {
  readonly tokens: number
  readonly experts: number
  /** experts chosen for a token */
  readonly perToken: number
  /** outputs of an expert's first product */
  readonly inner: number
  readonly hidden: number
}

/** How the pairs of a step meet their experts: each by itself, or sorted in tiles of rows. */
export type MixtureMethod = { readonly kind: 'pairs' } | { readonly kind: 'tiles'; readonly tileM: number }

/**
 * Pairs are sorted where there are more of them than experts, so that some share one: until then each reads its expert as fast
 * as memory goes. A tile is about what an expert is chosen for on average, so that few of its rows stay empty.
 */
export function mixtureMethod(
  kind: DeviceKind,
  { tokens, perToken, experts }: Pick<MixtureSizes, 'tokens' | 'perToken' | 'experts'>,
): MixtureMethod {
  const pairs = tokens * perToken
  if (pairs <= experts || tokens === 1) return { kind: 'pairs' }
  const mean = pairs / experts
  const tiles = tileSizes[kind]
  return { kind: 'tiles', tileM: (tiles.find(({ upTo }) => mean <= upTo) ?? (tiles.at(-1) as TileSize)).tileM }
}

interface TileSize {
  readonly upTo: number
  readonly tileM: number
}

/**
 * Rows of a tile for so many pairs of an expert on average. WebAssembly's product takes six rows at a time; times of CPU on one
 * thread beside a dense layer of the chosen experts (q4_0, 2,048 × 768, 512 tokens): 8 of 128 experts (mean 32) 1.78 with 16 rows,
 * 1.68 with 32, 1.44 with 36, 1.56 with 48, 2.02 with 64; 2 of 8 (mean 128) 1.28, 1.21, 1.18, 1.26 with 32, 36, 48, 64.
 * H200, the same: mean 32 4.2, 5.1, 1.8, 1.9 with 16, 32, 64, 128 rows (f16 4.1, 3.0, 1.9, 2.1), mean 128 3.1, 3.4, 1.02, 0.88.
 */
const tileSizes: Readonly<Record<DeviceKind, readonly [TileSize, ...TileSize[]]>> = {
  webgpu: [
    { upTo: 8, tileM: 16 },
    { upTo: 80, tileM: 64 },
    { upTo: Number.POSITIVE_INFINITY, tileM: 128 },
  ],
  wasm: [
    { upTo: 4, tileM: 6 },
    { upTo: 10, tileM: 12 },
    { upTo: 16, tileM: 18 },
    { upTo: 48, tileM: 36 },
    { upTo: Number.POSITIVE_INFINITY, tileM: 48 },
  ],
  interpret: [{ upTo: Number.POSITIVE_INFINITY, tileM: 8 }],
}

export type MixtureBufferName = 'chosen' | 'weights' | 'inner' | 'outer' | 'position' | 'list'

/**
 * Elements and dtype of what a mixture layer needs for steps of up to so many tokens; `dtype` is that of what experts make (an
 * f32 or what layers read). Throws `argument`.
 */
export function mixtureBufferSpecs(
  kind: DeviceKind,
  sizes: MixtureSizes,
  dtype: StorageDType,
  method: MixtureMethod = mixtureMethod(kind, sizes),
): Readonly<Record<MixtureBufferName, { readonly elements: number; readonly dtype: StorageDType }>> {
  checkFields('mixtureBufferSpecs', 'sizes', sizes, fields)
  const { tokens, perToken, experts, inner, hidden } = sizes
  for (const [name, count] of Object.entries(sizes))
    if (!Number.isInteger(count) || count < (name === 'tokens' ? 0 : 1))
      throw new FoveaError('argument', 'mixtureBufferSpecs', `${name} must be a whole number, got ${count}`)
  if (perToken > experts)
    throw new FoveaError('argument', 'mixtureBufferSpecs', `of ${experts} experts no ${perToken} can be chosen`)
  const pairs = tokens * perToken
  const sorted = method.kind === 'tiles'
  // fewer tokens may take smaller tiles, and more of them
  const least = sorted ? Math.min(method.tileM, tileSizes[kind][0].tileM) : 1
  const i32 = (elements: number) => ({ elements, dtype: 'i32' as const })
  return {
    chosen: i32(pairs),
    weights: { elements: pairs, dtype: 'f32' },
    inner: { elements: pairs * inner, dtype },
    outer: { elements: sorted ? pairs * hidden : 0, dtype },
    position: i32(sorted ? pairs : 0),
    list: i32(sorted ? listLength(pairs, experts, least) : 0),
  }
}

const fields: FieldsOf<MixtureSizes> = { tokens: true, experts: true, perToken: true, inner: true, hidden: true }
