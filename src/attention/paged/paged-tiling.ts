import type { Device } from '../../device/device.ts'
import type { PageLayout } from './page-pool.ts'

/** Tile sizes of `pagedAttention`, and whether the query heads of a key/value head are rows of one tile. */
export interface PagedTiling {
  readonly tileQ: number
  readonly tileK: number
  readonly padTo: number
  readonly packHeads: boolean
}

/** Tiles of prefill, many queries of a sequence, or of decode, few of them. */
export function pagedTiling(
  device: Device,
  phase: 'prefill' | 'decode',
  spec: {
    readonly layout: Pick<PageLayout, 'headDim' | 'pageSize'>
    readonly groupSize: number
    readonly queryDType: 'f32' | 'f16' | 'bf16'
    /** decode: queries of a sequence in a step (1) */
    readonly queries?: number
  },
): PagedTiling {
  const { layout, groupSize, queryDType, queries = 1 } = spec
  const { headDim, pageSize } = layout
  const request = { headDim, valueDim: headDim, dtype: queryDType }
  const tuned = device.tiling(phase === 'prefill' ? 'flash' : 'split-kv', request)
  // a tile of keys in one page is looked up once; pages below 16 would make the tiles too small
  const tileK = pageSize >= 32 ? Math.min(tuned.tileK, largestPowerOfTwo(pageSize)) : tuned.tileK
  if (phase === 'prefill') return { ...tuned, tileK, packHeads: device.kind !== 'webgpu' }
  const tileQ = device.kind === 'webgpu' ? tuned.tileQ : Math.min(tuned.tileQ, queries * groupSize)
  return { ...tuned, tileK, tileQ, packHeads: true }
}

/** The largest power of two that divides n. */
function largestPowerOfTwo(n: number): number {
  return n & -n
}

/**
 * Into how many shares the keys of decode are cut, for the longest of the step's contexts; by powers of two of the
 * context, so that a recorded step serves until it has doubled.
 */
export function pagedSplits(
  device: Device,
  spec: {
    readonly contexts: readonly number[]
    readonly numKvHeads: number
    readonly tileK: number
    /** tiles of rows of a sequence (1) */
    readonly rowTiles?: number
  },
): number {
  const { contexts, numKvHeads, tileK, rowTiles = 1 } = spec
  const longest = contexts.reduce((most, length) => Math.max(most, length), 1)
  const bucket = 2 ** Math.ceil(Math.log2(longest))
  const programs = Math.max(1, contexts.length * numKvHeads * rowTiles)
  const busy = device.kind === 'webgpu' ? 1024 : 2 * (device.info.threads ?? 1)
  const wanted = 2 ** Math.ceil(Math.log2(Math.max(1, busy / programs)))
  return Math.max(1, Math.min(wanted, 2 ** Math.floor(Math.log2(Math.max(1, bucket / tileK / 2))), 256))
}
