import type { Kernel, Program, TensorSpec } from '../../tile/index.ts'
import { alignmentOf } from '../../tile/index.ts'
import type { MaskMod, ScoreMod } from '../hooks.ts'
import type { Normalizer } from '../normalizers/normalizer.ts'
import { softmax } from '../normalizers/softmax.ts'
import { type AttentionTensors, checkAttentionShape } from './attention-shape.ts'
import { splitKvProgram } from './split-kv-program.ts'

// Dao, Haziza, Massa and Sizov: Flash-Decoding for long-context inference, 2023: the keys of a few queries are split over
// programs, each makes the attention state of its share, and `mergeSplits` merges the states. The heads that share a
// key/value head, and the queries, are packed into the rows of one tile.

export interface SplitKvSpec extends Pick<AttentionTensors, 'query' | 'key' | 'value'> {
  readonly query: TensorSpec // [B, T, H, D]; B = 1 when packed
  readonly key: TensorSpec // [B, S, Hkv, D]
  readonly value: TensorSpec // [B, S, Hkv, Dv]
  readonly scale?: number
  readonly scoreMod?: ScoreMod | null
  readonly maskMod?: MaskMod | null
  /** one whose states merge (`split`) */
  readonly normalizer?: Normalizer
  readonly packed?: boolean
  readonly tiling: { readonly tileQ: number; readonly tileK: number; readonly padTo: number }
  readonly itemCount: number
  readonly headsPerItem: number
  readonly program?: Program
}

/**
 * The partial states of decode: `states` [splits · B, T, H, Dv] and `stateSums` [splits · B, 2, H, T], in f32. Tensors bind by the
 * names of the spec, with `items` and `runs` of `splitKvWork`. Throws `shape`, `dtype` and `unsupported`.
 */
export function splitKv(spec: SplitKvSpec): Kernel {
  const { query, key, value } = spec
  const shape = checkAttentionShape('splitKv', { query, key, value })
  const program =
    spec.program ??
    splitKvProgram({
      dtype: shape.dtype,
      headDim: shape.headDim,
      valueDim: shape.valueDim,
      groupSize: shape.groupSize,
      ...spec.tiling,
      alignment: Math.min(alignmentOf(key), alignmentOf(value)),
      packed: spec.packed ?? false,
      normalizer: spec.normalizer ?? softmax,
      scoreMod: spec.scoreMod ?? null,
      maskMod: spec.maskMod ?? null,
    })
  return {
    program,
    grid: [spec.itemCount, spec.headsPerItem, 1],
    scalars: { scale: spec.scale ?? 1 / Math.sqrt(shape.headDim) },
  }
}
