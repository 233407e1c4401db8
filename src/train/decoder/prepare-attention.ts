import { causal } from '../../attention/masks/causal.ts'
import { document } from '../../attention/masks/document.ts'
import { slidingWindow } from '../../attention/masks/sliding-window.ts'
import { chainScores } from '../../attention/scores/chain-scores.ts'
import { softCap } from '../../attention/scores/soft-cap.ts'
import { prepareTrainableAttention, type TrainableAttention } from '../../attention/trainable-attention.ts'
import type { Device, Tensor } from '../../device/device.ts'
import type { AttentionSpec } from '../../model/decoder-spec.ts'
import type { AttentionChange } from '../attention-variants.ts'
import type { ComputeDType } from '../precision.ts'
import type { StepShape } from '../trainable-model.ts'

/** The attention of a layer for rows of one length: causal, within its window, within documents, with what a variant changes. */
export async function prepareAttention(
  device: Device,
  spec: AttentionSpec,
  request: {
    readonly shape: StepShape
    readonly dtype: ComputeDType
    readonly documents: Tensor | null
    readonly change: AttentionChange
    /** queries and keys come normalised or turned, in memory of their own; else they lie beside the values */
    readonly apart: boolean
  },
): Promise<TrainableAttention> {
  const { shape, dtype, documents, change, apart } = request
  const { batch, length } = shape
  const { numHeads, numKvHeads, headDim } = spec
  // as `attend` lays them out: kernels are compiled ahead for that
  const heads = (count: number, row: number, from: number) => ({
    dtype,
    shape: [batch, length, count, headDim],
    strides: [length * row * headDim, row * headDim, headDim, 1],
    offset: from * headDim,
  })
  const all = numHeads + 2 * numKvHeads
  const queryKey = apart ? numHeads + numKvHeads : all
  let maskMod = spec.window === null ? causal : causal.and(slidingWindow(spec.window - 1))
  if (change.maskMod) maskMod = maskMod.and(change.maskMod)
  if (documents) maskMod = maskMod.and(document(documents))
  const scores = [
    ...(spec.softCap === null ? [] : [softCap(spec.softCap)]),
    ...(change.scoreMod ? [change.scoreMod] : []),
  ]
  return prepareTrainableAttention(device, {
    query: heads(numHeads, queryKey, 0),
    key: heads(numKvHeads, queryKey, numHeads),
    value: heads(numKvHeads, all, numHeads + numKvHeads),
    maskMod,
    ...(scores.length > 0 && { scoreMod: chainScores(...scores) }),
    ...(change.normalizer && { normalizer: change.normalizer }),
    scale: spec.scale,
    ...(documents && { changing: [documents] }),
  })
}
