import type { AttentionSpec } from './decoder-spec.ts'

/** Elements of a value: as many as of a key unless a layer says otherwise. */
export function valueWidth({ headDim, valueDim = headDim }: AttentionSpec): number {
  return valueDim
}
