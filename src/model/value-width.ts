import type { Projected } from '../cache/write-pages-spec.ts'
import type { AttentionSpec } from './decoder-spec.ts'

/** Elements that a head gives before the output matrix: of a value, or of what latent attention makes of it. */
export function outputWidth(spec: AttentionSpec): number {
  return spec.latent?.valueDim ?? valueWidth(spec)
}

/** Elements of a value: as many as of a key unless a layer says otherwise. */
export function valueWidth({ headDim, valueDim = headDim }: AttentionSpec): number {
  return valueDim
}

/** What of queries, keys and values ordinary heads project of their input. */
export function projectedOf({ keysAsValues, keysFrom }: AttentionSpec): Projected {
  if (keysFrom !== undefined) return 'queries'
  return keysAsValues ? 'queriesAndKeys' : 'all'
}
