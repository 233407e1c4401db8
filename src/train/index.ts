export {
  type AttentionChange,
  type AttentionVariant,
  attentionVariant,
  attentionVariants,
} from './attention-variants.ts'
export { type MovingAverage, type MovingAverageOptions, movingAverage } from './averaging/index.ts'
export { decoderSpec, type ModelFields } from './config/model-config.ts'
export { type Preset, presets } from './config/presets.ts'
export { readTrainConfig } from './config/read-config.ts'
export type { TrainConfig } from './config/train-config.ts'
export type { Batch, BatchSource, JsonValue } from './data/batch.ts'
export { documentEncoder } from './data/encode-documents.ts'
export { mixRows, type RowShare } from './data/mix-rows.ts'
export { packDocuments } from './data/pack-documents.ts'
export { type PackedDocument, type PackedRows, packedRows } from './data/packed-rows.ts'
export { readDocuments } from './data/read-documents.ts'
export { batchesOf, type Row, type Rows } from './data/rows.ts'
export { type TextFile, textFiles } from './data/text-files.ts'
export { type TextRows, type TextRowsOptions, textRows } from './data/text-rows.ts'
export { type TokenFile, type TokenizeFilesOptions, tokenizeFiles } from './data/token-file.ts'
export { type TokenStore, tokenArray, tokenSlice } from './data/token-store.ts'
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
export { reportPage } from './report/report-page.ts'
export type { EvaluationRecord, RunRecord, StepRecord, TaskExample } from './report/run-record.ts'
export {
  type RunEvents,
  type RunOutcome,
  type RunTrainingOptions,
  runTraining,
} from './run/run-training.ts'
export { type TrainEvents, type TrainedRuns, type TrainRunsOptions, trainRuns } from './run/train-runs.ts'
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
export type { OutputHead } from './tape/output-head.ts'
export { Tape } from './tape/tape.ts'
export type { Operation } from './tape/tape-core.ts'
export { TapeCore } from './tape/tape-core.ts'
export type { TapeWeight } from './tape/tape-weight.ts'
export { Held, Variable } from './tape/variable.ts'
export { type AssociativeRecallOptions, associativeRecall } from './tasks/associative-recall.ts'
export { type CopyingOptions, copying } from './tasks/copying.ts'
export { type InductionOptions, induction } from './tasks/induction.ts'
export { type ProseRetrievalOptions, proseRetrieval } from './tasks/prose-retrieval.ts'
export { type TrainTokenizerOptions, trainTokenizer } from './tokenizer/train-tokenizer.ts'
export type {
  Checkpointing,
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
