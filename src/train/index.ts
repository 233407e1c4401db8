export {
  type AttentionChange,
  type AttentionVariant,
  attentionVariant,
  attentionVariants,
  type VariantParameter,
} from './attention-variants.ts'
export { type MovingAverage, type MovingAverageOptions, movingAverage } from './averaging/moving-average.ts'
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
export { createLoraDecoder, LoraDecoder, type LoraDecoderOptions } from './lora/lora-decoder.ts'
export { type LoraOptions, type LoraPlan, planLora } from './lora/lora-options.ts'
export { loadPeft, savePeft } from './lora/peft-files.ts'
export { type AdamWOptions, adamw } from './optimizers/adamw.ts'
export { type AuonOptions, auon } from './optimizers/auon.ts'
export {
  type ChosenOptimizers,
  chooseOptimizers,
  type OptimizerConfig,
  optimizerDefaults,
} from './optimizers/choose-optimizers.ts'
export { type LambOptions, lamb } from './optimizers/lamb.ts'
export { type LionOptions, lion } from './optimizers/lion.ts'
export { type MuonOptions, muon } from './optimizers/muon.ts'
export type { Optimizer, OptimizerMemory } from './optimizers/optimizer.ts'
export { type SgdOptions, sgd } from './optimizers/sgd.ts'
export { type SophiaOptions, sophia } from './optimizers/sophia.ts'
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
export type { RunEvents, RunOutcome, RunTrainingOptions } from './run/run-options.ts'
export { runTraining } from './run/run-training.ts'
export { type TrainEvents, type TrainedRuns, type TrainRunsOptions, trainRuns } from './run/train-runs.ts'
export { chooseSchedule, type ScheduleConfig } from './schedules/choose-schedule.ts'
export { type ConstantOptions, constant } from './schedules/constant.ts'
export { type CosineOptions, cosine } from './schedules/cosine.ts'
export { type OneCycleOptions, oneCycle } from './schedules/one-cycle.ts'
export type { Schedule } from './schedules/schedule.ts'
export { type WarmupStableDecayOptions, warmupStableDecay } from './schedules/warmup-stable-decay.ts'
export type { StepResult } from './step-result.ts'
export type { CapturedWeights } from './tape/captured-weights.ts'
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
export { type CopyingOptions, copying } from './tasks/copying-rows.ts'
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
export { createTrainer, Trainer } from './trainer.ts'
export type { TrainerOptions } from './trainer-options.ts'
export type { TrainingStage } from './training-stages.ts'
export { Workspace, type WorkspaceBytes } from './workspace.ts'
