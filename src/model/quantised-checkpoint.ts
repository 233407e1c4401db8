import { type WeightDType, weightBlock } from '../nn/weight-data.ts'
import type { Checkpoint } from './checkpoint.ts'
import { rewrittenMatrix } from './rewritten-matrix.ts'

/** What weights can be quantised to while they are loaded. */
export const loadedWeights = ['q8_0', 'q4_0'] as const
export type LoadedWeights = (typeof loadedWeights)[number]

/**
 * A checkpoint whose matrices are given in fewer bits, quantised as they are read, some rows at a time. Those that are
 * stored in as few, whose rows are no whole blocks of 32, or that no product reads (learned positions, the matrices of
 * latent attention) stay as they are; with `q4_0` the matrix that gives the logits is Q8_0.
 */
export function quantisedCheckpoint(checkpoint: Checkpoint, weights: LoadedWeights): Checkpoint {
  const { tied } = checkpoint.spec.logits
  const dtypeOf = (name: string): WeightDType => {
    const { dtype, cols } = checkpoint.matrixInfo(name)
    const wanted = name === 'lmHead' || (tied && name === 'tokenEmbedding') ? 'q8_0' : weights
    const fits = cols % weightBlock[wanted].elements === 0 && bitsOf(wanted) < bitsOf(dtype)
    return fits && !/(^positionEmbedding|\.latentUp)$/.test(name) ? wanted : dtype
  }
  const { matrixRows: _, ...rest } = checkpoint
  return {
    ...rest,
    fingerprint: `${checkpoint.fingerprint}-${weights}`,
    matrixInfo: (name) => ({ ...checkpoint.matrixInfo(name), dtype: dtypeOf(name) }),
    async matrix(name) {
      const dtype = dtypeOf(name)
      return dtype === checkpoint.matrixInfo(name).dtype
        ? checkpoint.matrix(name)
        : rewrittenMatrix(checkpoint, name, dtype)
    },
  }
}

function bitsOf(dtype: WeightDType): number {
  return (8 * weightBlock[dtype].bytes) / weightBlock[dtype].elements
}
