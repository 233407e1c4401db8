export {
  type AttentionChange,
  type AttentionVariant,
  attentionVariant,
  attentionVariants,
} from './attention-variants.ts'
export { type MovingAverage, type MovingAverageOptions, movingAverage } from './averaging/index.ts'
export type { Batch, BatchSource, JsonValue } from './data/batch.ts'
export { type LiveCheckpointOptions, liveCheckpoint } from './decoder/live-checkpoint.ts'
export {
  createTrainableDecoder,
  TrainableDecoder,
  type TrainableDecoderOptions,
} from './decoder/trainable-decoder.ts'
export { type Evaluation, Evaluator, type EvaluatorOptions } from './evaluator.ts'
export {
  type ParameterDeclaration,
  ParameterStore,
  type ParameterStoreOptions,
  type UpdateRule,
} from './parameter-store.ts'
export type { Parameter, ParameterGroup } from './parameters.ts'
export { planTraining, type TrainingPlan, type TrainingPlanRequest } from './plan-training.ts'
export type { ComputeDType } from './precision.ts'
export type { TapeEmbedding } from './tape/embedding.ts'
export { sortIds } from './tape/embedding.ts'
export type { TapeNorm } from './tape/norm.ts'
export { Tape } from './tape/tape.ts'
export type { Operation } from './tape/tape-core.ts'
export { TapeCore } from './tape/tape-core.ts'
export type { TapeWeight } from './tape/tape-weight.ts'
export { Held, Variable } from './tape/variable.ts'
export type {
  Checkpointing,
  OutputHead,
  PlannableModel,
  PreparedModel,
  StepInputs,
  StepShape,
  TrainableModel,
} from './trainable-model.ts'
export { createTrainer, type StepResult, Trainer } from './trainer.ts'
export type { TrainerOptions } from './trainer-options.ts'
export type { TrainingStage } from './training-stages.ts'
export { Workspace, type WorkspaceBytes } from './workspace.ts'
