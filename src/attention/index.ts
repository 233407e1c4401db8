export { attention } from './attention.ts'
export { type AttentionBackwardRequest, type AttentionGradients, attentionBackward } from './attention-backward.ts'
export type { AttentionOptions, AttentionPlanRequest, AttentionRequest } from './attention-request.ts'
export { type BlockMap, type BlockMapSpec, blockMap } from './block-map.ts'
export type { BlockMask, CompressedRows } from './block-mask.ts'
export {
  checkNormalizer,
  type NormalizerCheckOptions,
  type NormalizerErrors,
  type NormalizerReference,
} from './check-normalizer.ts'
export { drawBlockMap } from './draw-block-map.ts'
export type { Dropout } from './dropout.ts'
export type { Captured, MaskMod, Position, ScoreContext, ScoreMod } from './hooks.ts'
export {
  type GatedLinearAttentionOptions,
  gatedLinearAttention,
  gatedLinearAttentionKernel,
} from './linear/gated-linear-attention.ts'
export {
  type GatedLinearAttentionBackwardOptions,
  gatedLinearAttentionBackward,
  gatedLinearAttentionBackwardScratch,
} from './linear/gated-linear-attention-backward.ts'
export type { GatedLinearAttentionSpec, GatedLinearForm } from './linear/gated-linear-spec.ts'
export { type RetentionOptions, retention, retentionDecays } from './linear/retention.ts'
export type { Normalizer, RowState } from './normalizers/normalizer.ts'
export type { PageFormat, PageLayout, PagePool } from './paged/page-pool.ts'
export { pagedAttention } from './paged/paged-attention.ts'
export type { PagedAttentionOptions } from './paged/paged-options.ts'
export { type PagedStates, type PagedStatesSpec, pagedStateShapes } from './paged/paged-states.ts'
export { type PagedTiling, pagedSplits, pagedTiling } from './paged/paged-tiling.ts'
export {
  type PagedSequence,
  type PagedWorkSpec,
  pagedWorkCapacity,
  planPagedWork,
  workWidth,
} from './paged/paged-work.ts'
export { type AttentionPlan, plan } from './plan.ts'
export type { BackwardTensors } from './softmax/backward/backward-passes.ts'
export type { FlashTensors } from './softmax/flash-pass.ts'
export { type AttentionState, mergeStates } from './softmax/merge-states.ts'
export {
  prepareTrainableAttention,
  type TrainableAttention,
  type TrainableAttentionRequest,
} from './trainable-attention.ts'
