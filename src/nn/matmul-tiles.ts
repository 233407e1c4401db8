import type { DeviceKind, WebgpuTier } from '../device/device-info.ts'
import { checkFields, type FieldsOf, type StorageDType } from '../tile/index.ts'

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
export function matmulTiles(request: MatmulTilesRequest): MatmulTiles {
  checkFields('matmulTiles', 'request', request, matmulTilesFields)
  const { kind, tier, dtypes, rows } = request
  const few = rows <= 16
  // subgroup matrices take f16
  if (tier === 3 && dtypes.every((dtype) => dtype === 'f16'))
    return few ? { tileM: 16, tileN: 64, tileK: 64 } : { tileM: 128, tileN: 256, tileK: 32 }
  // f32 operands of 64 columns fit the 16 KiB of workgroup memory that every device has
  if (kind === 'webgpu') return few ? { tileM: 16, tileN: 64, tileK: 32 } : { tileM: 64, tileN: 64, tileK: 16 }
  return few ? { tileM: 16, tileN: 64, tileK: 128 } : { tileM: 64, tileN: 64, tileK: 128 }
}

/** What tiles of one product depend on, its sizes known. */
export interface ProductTilesRequest extends Omit<MatmulTilesRequest, 'rows'> {
  readonly batch: number
  readonly M: number
  readonly N: number
  readonly K: number
  readonly transposeA: boolean
}

/** fewer programs than this leave most of a large GPU idle */
const fewPrograms = 64

/**
 * The wide tile of matrix units that leaves fewer columns over. H200, 16,384 rows from 384 to 1,024 and back: 128 × 256
 * 150 TFLOP/s, 128 × 192 165, 128 × 128 130.
 */
export function wideTile(cols: number): 192 | 256 {
  const filled = (width: number) => Math.ceil(cols / width) * width
  return filled(192) < filled(256) ? 192 : 256
}

/** Default tiles of `matmul`, whose sizes change rarely: those of the device class, made to fit them. */
export function productTiles(request: ProductTilesRequest): MatmulTiles {
  checkFields('productTiles', 'request', request, productTilesFields)
  const { kind, tier, dtypes, batch, M, N, K, transposeA } = request
  const tiles = matmulTiles({ kind, tier, dtypes, rows: M })
  if (kind === 'wasm') {
    const fits = (size: number, tile: number) => Math.ceil(size / tile) * tile <= 1.05 * size
    // the micro-kernel takes six rows: 96 are 5 to 20 % faster than 64 (f32, 2,048 tokens), where few are left over
    return {
      ...tiles,
      tileM: fits(M, 96) ? 96 : tiles.tileM,
      // rows of a transposed left operand are short stretches of memory: wide tiles read them less often (8 to 15 % faster)
      tileN: transposeA && fits(N, 128) ? 128 : tiles.tileN,
      tileK: [128, 96, 64, 32].find((tile) => fits(K, tile)) ?? (K > 128 ? 128 : 32),
    }
  }
  if (tiles.tileN !== 256) return tiles
  const sizes = [[128, wideTile(N)] as const, [128, 128] as const]
  const enough = ([m, n]: (typeof sizes)[number]) => batch * Math.ceil(M / m) * Math.ceil(N / n) >= fewPrograms
  const [tileM, tileN] = sizes.find(enough) ?? [64, 64]
  return { ...tiles, tileM, tileN }
}

const matmulTilesFields: FieldsOf<MatmulTilesRequest> = { kind: true, tier: true, dtypes: true, rows: true }

const productTilesFields: FieldsOf<ProductTilesRequest> = {
  batch: true,
  M: true,
  N: true,
  K: true,
  transposeA: true,
  kind: true,
  tier: true,
  dtypes: true,
}
