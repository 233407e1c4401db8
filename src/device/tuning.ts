import type { StorageDType } from '../ir/dtype.ts'
import type { DeviceInfo, DeviceKind } from './device-info.ts'

/** Algorithms whose tile sizes are tuned. */
export type TunedAlgorithm = 'flash' | 'split-kv' | 'matmul' | 'gated-linear-attention'

/** What tile sizes depend on, besides the device. */
export interface TilingRequest {
  readonly headDim: number
  readonly valueDim: number
  readonly dtype: StorageDType
}

/** Rows of queries and of keys in one tile, and the multiple that tile widths are rounded up to. */
export interface Tiling {
  readonly tileQ: number
  readonly tileK: number
  readonly padTo: number
}

/** Tile sizes for a class of devices, from measurements (docs/LOG.md); any others are as correct. */
export function tiling(
  { kind, info }: { readonly kind: DeviceKind; readonly info: Pick<DeviceInfo, 'tier'> },
  algorithm: TunedAlgorithm,
  request: TilingRequest,
): Tiling {
  return byDevice[kind](algorithm, request, info.tier ?? 0)
}

type Rule = (algorithm: TunedAlgorithm, request: TilingRequest, tier: number) => Tiling

const byDevice: Readonly<Record<DeviceKind, Rule>> = {
  interpret: () => ({ tileQ: 16, tileK: 16, padTo: 1 }),
  wasm: (algorithm) => ({ tileQ: algorithm === 'split-kv' ? 8 : 96, tileK: 64, padTo: 8 }),
  webgpu: (algorithm, { headDim, valueDim, dtype }, tier) => {
    const wide = Math.max(headDim, valueDim) > 64
    // matrix units take f16; f32 tensors stay on the tiers below
    if (tier === 3 && dtype === 'f16') return { tileQ: algorithm === 'split-kv' ? 16 : 128, tileK: 32, padTo: 16 }
    return { tileQ: algorithm === 'split-kv' ? 16 : 64, tileK: wide ? 32 : 64, padTo: 16 }
  },
}
