import { causal } from '../../attention/masks/causal.ts'
import { document } from '../../attention/masks/document.ts'
import { slidingWindow } from '../../attention/masks/sliding-window.ts'
import { chainScores } from '../../attention/scores/chain-scores.ts'
import { softCap } from '../../attention/scores/soft-cap.ts'
import { prepareTrainableAttention } from '../../attention/trainable-attention.ts'
import type { Device, Tensor } from '../../device/device.ts'
import type { AttentionSpec } from '../../model/decoder-spec.ts'
import { contiguousStrides } from '../../tile/index.ts'
import type { AttentionChange } from '../attention-variants.ts'
import type { ComputeDType } from '../precision.ts'
import type { StepShape } from '../trainable-model.ts'
import type { AttentionKernel } from '../attention-kernel.ts'

/** The attention of a layer for rows of one length: causal, within its window, within documents, with what a variant changes. */
export async function prepareAttention(
  device: Device,
  spec: AttentionSpec,
  request: {
    readonly shape: StepShape
    readonly dtype: ComputeDType
    readonly documents: Tensor | null
    readonly change: AttentionChange
  },
): Promise<AttentionKernel> {
  const { shape, dtype, documents, change } = request
  const { batch, length } = shape
  const { numHeads, numKvHeads, headDim } = spec
  const heads = (count: number) => {
    const sizes = [batch, length, count, headDim]
    return { dtype, shape: sizes, strides: contiguousStrides(sizes), offset: 0 }
  }
  let maskMod = spec.window === null ? causal : causal.and(slidingWindow(spec.window - 1))
  if (change.maskMod) maskMod = maskMod.and(change.maskMod)
  if (documents) maskMod = maskMod.and(document(documents))
  const scores = [
    ...(spec.softCap === null ? [] : [softCap(spec.softCap)]),
    ...(change.scoreMod ? [change.scoreMod] : []),
  ]
  return prepareTrainableAttention(device, {
    query: heads(numHeads),
    key: heads(numKvHeads),
    value: heads(numKvHeads),
    maskMod,
    ...(scores.length > 0 && { scoreMod: chainScores(...scores) }),
    ...(change.normalizer && { normalizer: change.normalizer }),
    scale: spec.scale,
    ...(documents && { changing: [documents] }),
  })
}
