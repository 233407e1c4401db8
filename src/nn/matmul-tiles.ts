import type { DeviceKind, WebgpuTier } from '../device/device-info.ts'

/** What one program of a matrix product owns (tileM × tileN of the output) and streams (tileK of the inner size at a time). */
export interface MatmulTiles {
  readonly tileM: number
  readonly tileN: number
  readonly tileK: number
}

/**
 * Default tiles of a device class: one set for products of many rows and one for few (decoding), so that a changed size
 * compiles nothing within either.
 */
export function matmulTiles(kind: DeviceKind, tier: WebgpuTier | null, rows: number): MatmulTiles {
  const few = rows <= 16
  if (kind === 'webgpu' && tier === 3)
    return few ? { tileM: 16, tileN: 64, tileK: 64 } : { tileM: 128, tileN: 128, tileK: 32 }
  // f32 operands of 64 columns fit the 16 KiB of workgroup memory that every device has
  if (kind === 'webgpu') return few ? { tileM: 16, tileN: 64, tileK: 32 } : { tileM: 64, tileN: 64, tileK: 16 }
  return few ? { tileM: 16, tileN: 64, tileK: 128 } : { tileM: 64, tileN: 64, tileK: 128 }
}
