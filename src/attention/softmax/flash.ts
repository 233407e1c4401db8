import { alignmentOf, type Kernel, type Program, type TensorSpec } from '../../tile/index.ts'
import type { Dropout } from '../dropout.ts'
import type { MaskMod, ScoreMod } from '../hooks.ts'
import type { Normalizer } from '../normalizers/normalizer.ts'
import { softmax } from '../normalizers/softmax.ts'
import { type AttentionTensors, checkAttentionShape } from './attention-shape.ts'
import { flashProgram } from './flash-program.ts'

// Dao, Fu, Ermon, Rudra and Ré: FlashAttention, 2022, arXiv 2205.14135, algorithm 1, in the loop order of FlashAttention-2
// (Dao, 2023, arXiv 2307.08691, algorithm 1); hooks as in FlexAttention (Dong et al., 2024, arXiv 2412.05496).
//
//   output_q = Σ_k p_qk v_k      p_q = softmax_k(scoreMod(scale · q·k))  where maskMod allows      lse_q = log Σ_k exp(s_qk)
//
// One program owns tileQ query rows of one head, streams the key tiles that its work item names, and keeps the running
// maximum and sum of each row and an accumulator [tileQ, Dv]. Traffic: query and output once; key and value once per query
// tile that attends to them.

export interface FlashSpec extends AttentionTensors {
  readonly query: TensorSpec // [B, T, H, D]; B = 1 when packed
  readonly key: TensorSpec // [B, S, Hkv, D]
  readonly value: TensorSpec // [B, S, Hkv, Dv]
  readonly output: TensorSpec // [B, T, H, Dv]
  readonly lse: TensorSpec // [B, H, T]
  readonly sinks?: TensorSpec | null // [H]
  /** factor of the scores; 1 / √D by default */
  readonly scale?: number
  readonly scoreMod?: ScoreMod | null
  readonly maskMod?: MaskMod | null
  readonly normalizer?: Normalizer
  readonly dropout?: Dropout | null
  /** several sequences in one batch row, by the work items */
  readonly packed?: boolean
  readonly tiling: { readonly tileQ: number; readonly tileK: number; readonly padTo: number }
  /** rows of `items`, and the heads that each is run for: the grid */
  readonly itemCount: number
  readonly headsPerItem: number
  /** a program made before from the same hooks, dtypes, widths and tiling */
  readonly program?: Program
}

/**
 * Exact attention of many queries (equations above). Tensors bind by the names of the spec, with `items` and `runs` of a
 * work list. Throws `shape`, `dtype` and `unsupported` where tensors do not fit together.
 */
export function flash(spec: FlashSpec): Kernel {
  const { query, key, value, sinks = null, output, lse } = spec
  const shape = checkAttentionShape('flash', { query, key, value, sinks, output, lse })
  const program =
    spec.program ??
    flashProgram({
      dtype: shape.dtype,
      headDim: shape.headDim,
      valueDim: shape.valueDim,
      groupSize: shape.groupSize,
      ...spec.tiling,
      alignment: commonAlignment([query, key, value, output]),
      packed: spec.packed ?? false,
      sinks: sinks !== null,
      normalizer: spec.normalizer ?? softmax,
      scoreMod: spec.scoreMod ?? null,
      maskMod: spec.maskMod ?? null,
      dropout: spec.dropout ?? null,
    })
  const scale = spec.scale ?? 1 / Math.sqrt(shape.headDim)
  return {
    program,
    grid: [spec.itemCount, spec.headsPerItem, 1],
    scalars: { scale, scaleLog2: scale * Math.LOG2E },
  }
}

/** The largest power of two, up to 8, that offsets and strides of all of them are multiples of. */
export function commonAlignment(specs: readonly TensorSpec[]): number {
  return Math.min(...specs.map(alignmentOf))
}
