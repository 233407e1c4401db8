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
  createLoraDecoder,
  LoraDecoder,
  type LoraDecoderOptions,
  type LoraOptions,
  type LoraPlan,
  loadPeft,
  planLora,
  savePeft,
} from './lora/index.ts'
export {
  type AdamWOptions,
  type AuonOptions,
  adamw,
  auon,
  type ChosenOptimizers,
  chooseOptimizers,
  type LambOptions,
  type LionOptions,
  lamb,
  lion,
  type MuonOptions,
  muon,
  type Optimizer,
  type OptimizerConfig,
  type OptimizerMemory,
  optimizerDefaults,
  type SgdOptions,
  type SophiaOptions,
  sgd,
  sophia,
} from './optimizers/index.ts'
export {
  type ParameterDeclaration,
  ParameterStore,
  type ParameterStoreOptions,
  type UpdateRule,
} from './parameter-store.ts'
export type { Parameter, ParameterGroup } from './parameters.ts'
export { planTraining, type TrainingPlan, type TrainingPlanRequest } from './plan-training.ts'
export type { ComputeDType } from './precision.ts'
export {
  type ConstantOptions,
  type CosineOptions,
  chooseSchedule,
  constant,
  cosine,
  type OneCycleOptions,
  oneCycle,
  type Schedule,
  type ScheduleConfig,
  type WarmupStableDecayOptions,
  warmupStableDecay,
} from './schedules/index.ts'
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
