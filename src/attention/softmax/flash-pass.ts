import type { Tensor } from '../../device/device.ts'
import { type CallCache, keepProgram, type PlacedWork } from '../call-cache.ts'
import { dropoutKey } from '../dropout.ts'
import type { MaskMod, ScoreMod } from '../hooks.ts'
import type { Pass } from '../pass.ts'
import type { PreparedCall } from '../prepare-call.ts'
import { commonAlignment, flash } from './flash.ts'

/** Tensors of a forward: any strides with a contiguous last dimension. */
export interface FlashTensors {
  readonly query: Tensor // [B, T, H, D]
  readonly key: Tensor // [B, S, Hkv, D]
  readonly value: Tensor // [B, S, Hkv, Dv]
  readonly sinks?: Tensor | undefined // f32 [H]
  /** what is written: query's dtype [B, T, H, Dv], and f32 [B, H, T] */
  readonly output: Tensor
  readonly lse: Tensor
}

/** The one kernel of `flash` with its tensors; programs are kept under what their hooks compute (`maskKey`: the mask's). */
export function flashPass(
  parts: {
    readonly call: PreparedCall
    readonly cache: CallCache
    readonly scoreMod: ScoreMod | null
    readonly maskMod: MaskMod | null
    readonly maskKey: string
    readonly work: PlacedWork & { readonly itemCount: number }
  },
  tensors: FlashTensors,
): Pass {
  const { call, cache, scoreMod, maskMod, maskKey } = parts
  const { items, runs, itemCount, headsPerItem } = parts.work
  const { query, key, value, sinks, output, lse } = tensors
  const { shape, normalizer, dropout, tiling, packed, scale } = call
  const { dtype, headDim, valueDim, groupSize } = shape
  const alignment = commonAlignment([query, key, value, output])
  const { tileQ, tileK, padTo } = tiling
  const sizes = [dtype, headDim, valueDim, groupSize, tileQ, tileK, padTo, packed, alignment, sinks !== undefined]
  const hooks = [maskKey, call.score?.key, dropoutKey(dropout, cache.numberOf), cache.numberOf(normalizer)]
  const kernel = keepProgram(cache, `flash ${sizes.join(' ')} ${hooks.join('|')}`, (program) =>
    flash({
      ...{ query, key, value, sinks: sinks ?? null, output, lse },
      ...{ scale, scoreMod, maskMod, normalizer, dropout, packed, tiling, itemCount, headsPerItem },
      ...program,
    }),
  )
  return { kernel, tensors: { query, key, value, items, runs, output, lse, ...(sinks && { sinks }) } }
}
