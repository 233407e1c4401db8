import type { Device } from '../../device/device.ts'
import { checkChoice, checkFields, type FieldsOf } from '../../tile/index.ts'
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
    readonly layout: Pick<PageLayout, 'headDim' | 'pageSize'> & { readonly valueDim?: number }
    readonly groupSize: number
    readonly queryDType: 'f32' | 'f16' | 'bf16'
    /** decode: queries of a sequence in a step (1), and keys of the longest (0) */
    readonly queries?: number
    readonly context?: number
  },
): PagedTiling {
  checkChoice('pagedTiling', 'the phase', phase, ['prefill', 'decode'])
  checkFields('pagedTiling', 'spec', spec, pagedTilingFields)
  const { layout, groupSize, queryDType, queries = 1, context = 0 } = spec
  const { headDim, valueDim = headDim, pageSize } = layout
  const request = { headDim, valueDim, dtype: queryDType }
  const tuned = device.tiling(phase === 'prefill' ? 'flash' : 'split-kv', request)
  // a tile of keys in one page is looked up once; pages below 16 would make the tiles too small
  const widest = phase === 'decode' && onMatrixUnits(device, queryDType) && context >= 16384 ? 32 : tuned.tileK
  const tileK = pageSize >= 32 ? Math.min(widest, largestPowerOfTwo(pageSize)) : widest
  if (phase === 'prefill') return { ...tuned, tileK, packHeads: device.kind !== 'webgpu' }
  const tileQ = device.kind === 'webgpu' ? tuned.tileQ : Math.min(tuned.tileQ, queries * groupSize)
  return { ...tuned, tileK, tileQ, packHeads: true }
}

/** H200, one sequence of 32 heads over 8: 8,192 keys 26 µs in tiles of 16 and 30 in tiles of 32, 32,768 keys 101 and 47. */
function onMatrixUnits({ info }: Device, queryDType: string): boolean {
  return info.tier === 3 && queryDType === 'f16'
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
  checkFields('pagedSplits', 'spec', spec, pagedSplitsFields)
  const { contexts, numKvHeads, tileK, rowTiles = 1 } = spec
  const longest = contexts.reduce((most, length) => Math.max(most, length), 1)
  const bucket = 2 ** Math.ceil(Math.log2(longest))
  const programs = Math.max(1, contexts.length * numKvHeads * rowTiles)
  const busy = device.info.tier === 3 ? 8192 / tileK : device.kind === 'webgpu' ? 1024 : 2 * (device.info.threads ?? 1)
  const wanted = 2 ** Math.ceil(Math.log2(Math.max(1, busy / programs)))
  return Math.max(1, Math.min(wanted, 2 ** Math.floor(Math.log2(Math.max(1, bucket / tileK / 2))), 256))
}

const pagedSplitsFields: FieldsOf<Parameters<typeof pagedSplits>[1]> = {
  contexts: true,
  numKvHeads: true,
  tileK: true,
  rowTiles: true,
}

const pagedTilingFields: FieldsOf<Parameters<typeof pagedTiling>[2]> = {
  layout: true,
  groupSize: true,
  queryDType: true,
  queries: true,
  context: true,
}
