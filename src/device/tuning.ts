import { checkChoice } from '../ir/check-choice.ts'
import { checkFields, type FieldsOf } from '../ir/check-fields.ts'
import type { StorageDType } from '../ir/dtype.ts'
import type { DeviceInfo, DeviceKind } from './device-info.ts'

/** Algorithms whose tile sizes are tuned. */
export type TunedAlgorithm =
  | 'flash'
  | 'split-kv'
  | 'query-gradient'
  | 'key-gradient'
  | 'matmul'
  | 'gated-linear-attention'

/** What tile sizes depend on, besides the device. */
export interface TilingRequest {
  readonly headDim: number
  readonly valueDim: number
  readonly dtype: StorageDType
  /** tokens of the longest sequence, where tiles may suit one length: by default they suit all, and no length compiles anew */
  readonly tokens?: number
  /** all rows that are cut into tiles, those of every head: few are cut smaller, so that a GPU is busy (many) */
  readonly rows?: number
}

/** Rows of queries and of keys in one tile, and the multiple that tile widths are rounded up to. */
export interface Tiling {
  readonly tileQ: number
  readonly tileK: number
  readonly padTo: number
}

/** What is known of a device; limits that are not given are taken for large. */
type DeviceClass = Pick<DeviceInfo, 'tier'> & Partial<Pick<DeviceInfo, 'limits'>>

/** Tile sizes for a class of devices, from measurements (docs/LOG.md); any others are as correct. Throws `argument`. */
export function tiling(
  { kind, info }: { readonly kind: DeviceKind; readonly info: DeviceClass },
  algorithm: TunedAlgorithm,
  request: TilingRequest,
): Tiling {
  checkChoice('tiling', 'the algorithm', algorithm, algorithms)
  checkFields('tiling', 'request', request, fields)
  return byDevice[kind](algorithm, request, info)
}

const fields: FieldsOf<TilingRequest> = { headDim: true, valueDim: true, dtype: true, tokens: true, rows: true }
const algorithms: readonly TunedAlgorithm[] = [
  'flash',
  'split-kv',
  'query-gradient',
  'key-gradient',
  'matmul',
  'gated-linear-attention',
]

/** two programs for each of some 130 processors, in tiles of 128 rows */
const fewRows = 2 * 130 * 128

type Rule = (algorithm: TunedAlgorithm, request: TilingRequest, info: DeviceClass) => Tiling

const byDevice: Readonly<Record<DeviceKind, Rule>> = {
  interpret: () => ({ tileQ: 16, tileK: 16, padTo: 1 }),
  wasm: (algorithm, { headDim, valueDim, tokens = Number.POSITIVE_INFINITY }) => {
    // 16 heads of 576 over one latent of 512: decode over 2,048 keys 4.1 ms, 5.3 in tiles of 8 × 64; 256 tokens 65 ms, 105 in 96 × 64
    if (Math.max(headDim, valueDim) > 256) return { tileQ: algorithm === 'split-kv' ? 16 : 32, tileK: 32, padTo: 8 }
    if (algorithm === 'split-kv') return { tileQ: 8, tileK: 64, padTo: 8 }
    // short rows lose more to the corners of tiles than they gain: causal, 64 tokens, forward 16 -> 26, backward 12 -> 21 GFLOP/s
    if (tokens <= 512) return { tileQ: 32, tileK: 32, padTo: 8 }
    return algorithm === 'key-gradient' ? { tileQ: 64, tileK: 96, padTo: 8 } : { tileQ: 96, tileK: 64, padTo: 8 }
  },
  webgpu: (algorithm, { headDim, valueDim, dtype, rows = Number.POSITIVE_INFINITY }, { tier, limits }) => {
    const width = Math.max(headDim, valueDim)
    const backward = algorithm === 'query-gradient' || algorithm === 'key-gradient'
    // matrix units take f16; f32 tensors stay on the tiers below
    if (tier === 3 && dtype === 'f16') {
      if (algorithm === 'split-kv') return { tileQ: 16, tileK: 16, padTo: 16 }
      // two accumulators and two operands of 128 keys fill the registers
      if (algorithm === 'key-gradient') return { tileQ: 16, tileK: rows <= fewRows ? 64 : 128, padTo: 16 }
      // tiles of 32 keys and what lanes exchange take up to 48 KiB in the query gradient
      const roomy = (limits?.maxComputeWorkgroupStorageSize ?? 49152) >= 49152
      if (algorithm === 'query-gradient') return { tileQ: 128, tileK: width <= 128 && roomy ? 32 : 16, padTo: 16 }
      return { tileQ: width > 256 ? 64 : 128, tileK: width > 64 ? 16 : 32, padTo: 16 }
    }
    // with the 16 KiB of workgroup memory that WebGPU guarantees, larger tiles do not fit
    const small = (limits?.maxComputeWorkgroupStorageSize ?? 32768) < 32768
    const tileK = width > 64 || small ? 32 : 64
    // accumulators and operands of two products more than the forward
    if (backward) return { tileQ: 32, tileK: 32, padTo: 16 }
    if (algorithm === 'split-kv') return { tileQ: 16, tileK, padTo: 16 }
    if (width > 256) return { tileQ: 32, tileK, padTo: 16 }
    // H200, causal, T 8192: 28 TFLOP/s at headDim 128 in f32, against 22 with 64 × 64 and 15 with 64 × 32
    const large = (limits?.maxComputeWorkgroupStorageSize ?? 0) >= 49152
    if (algorithm === 'flash' && large && width <= 128) return { tileQ: 128, tileK: 64, padTo: 16 }
    return { tileQ: small && width > 160 ? 32 : 64, tileK, padTo: 16 }
  },
}
