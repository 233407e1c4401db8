import type { DeviceKind } from '../../device/device-info.ts'
import { checkFields, type FieldsOf, FoveaError, type StorageDType } from '../../tile/index.ts'
import { tileCount } from './sort-pairs.ts'

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
 * as memory goes. The tile is about what an expert is chosen for on average, so that few rows of it stay empty.
 */
export function mixtureMethod(
  kind: DeviceKind,
  { tokens, perToken, experts }: Omit<MixtureSizes, 'inner' | 'hidden'>,
): MixtureMethod {
  const pairs = tokens * perToken
  if (pairs <= experts || tokens === 1) return { kind: 'pairs' }
  const mean = pairs / experts
  return { kind: 'tiles', tileM: tileSizes[kind].find(({ upTo }) => mean <= upTo)?.tileM ?? 128 }
}

const largeTile = [
  { upTo: 16, tileM: 16 },
  { upTo: 48, tileM: 32 },
  { upTo: 128, tileM: 64 },
]
const tileSizes: Readonly<Record<DeviceKind, readonly { readonly upTo: number; readonly tileM: number }[]>> = {
  webgpu: largeTile,
  wasm: [
    { upTo: 4, tileM: 8 },
    { upTo: 12, tileM: 16 },
    { upTo: 36, tileM: 32 },
    { upTo: Number.POSITIVE_INFINITY, tileM: 64 },
  ],
  interpret: largeTile,
}

export type MixtureBufferName = 'chosen' | 'weights' | 'inner' | 'outer' | 'order' | 'position' | 'tiles'

/**
 * Elements and dtype of what a mixture layer needs for steps of up to so many tokens; `dtype` is that of what experts make (an
 * f32 or what layers read). Throws `argument`.
 */
export function mixtureBufferSpecs(
  kind: DeviceKind,
  sizes: MixtureSizes,
  dtype: StorageDType,
): Readonly<Record<MixtureBufferName, { readonly elements: number; readonly dtype: StorageDType }>> {
  checkFields('mixtureBufferSpecs', 'sizes', sizes, fields)
  const { tokens, perToken, experts, inner, hidden } = sizes
  for (const [name, count] of Object.entries(sizes))
    if (!Number.isInteger(count) || count < (name === 'tokens' ? 0 : 1))
      throw new FoveaError('argument', 'mixtureBufferSpecs', `${name} must be a whole number, got ${count}`)
  if (perToken > experts)
    throw new FoveaError('argument', 'mixtureBufferSpecs', `of ${experts} experts no ${perToken} can be chosen`)
  const pairs = tokens * perToken
  const sorted = mixtureMethod(kind, sizes).kind === 'tiles'
  const least = Math.min(...tileSizes[kind].map(({ tileM }) => tileM))
  const i32 = (elements: number) => ({ elements, dtype: 'i32' as const })
  return {
    chosen: i32(pairs),
    weights: { elements: pairs, dtype: 'f32' },
    inner: { elements: pairs * inner, dtype },
    outer: { elements: sorted ? pairs * hidden : 0, dtype },
    order: i32(sorted ? pairs : 0),
    position: i32(sorted ? pairs : 0),
    tiles: i32(sorted ? 3 * tileCount(pairs, experts, least) : 0),
  }
}

const fields: FieldsOf<MixtureSizes> = { tokens: true, experts: true, perToken: true, inner: true, hidden: true }
