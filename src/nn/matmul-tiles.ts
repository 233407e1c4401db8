import type { DeviceKind, WebgpuTier } from '../device/device-info.ts'
import type { StorageDType } from '../tile/index.ts'

/** What one program of a matrix product owns (tileM × tileN of the output) and streams (tileK of the inner size at a time). */
export interface MatmulTiles {
  readonly tileM: number
  readonly tileN: number
  readonly tileK: number
}

/** What default tiles depend on. */
export interface MatmulTilesRequest {
  readonly kind: DeviceKind
  readonly tier: WebgpuTier | null
  /** dtypes of the operands */
  readonly dtypes: readonly StorageDType[]
  readonly rows: number
}

/**
 * Default tiles of a device class: one set for products of many rows and one for few (decoding), so that a changed size
 * compiles nothing within either.
 */
export function matmulTiles({ kind, tier, dtypes, rows }: MatmulTilesRequest): MatmulTiles {
  const few = rows <= 16
  // subgroup matrices take f16
  if (tier === 3 && dtypes.every((dtype) => dtype === 'f16'))
    return few ? { tileM: 16, tileN: 64, tileK: 64 } : { tileM: 128, tileN: 256, tileK: 32 }
  // f32 operands of 64 columns fit the 16 KiB of workgroup memory that every device has
  if (kind === 'webgpu') return few ? { tileM: 16, tileN: 64, tileK: 32 } : { tileM: 64, tileN: 64, tileK: 16 }
  return few ? { tileM: 16, tileN: 64, tileK: 128 } : { tileM: 64, tileN: 64, tileK: 128 }
}
