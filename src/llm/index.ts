export type { Engine, EngineStats } from './engine.ts'
export type { EngineOptions } from './engine-options.ts'
export { type EvaluateRetrievalOptions, evaluateRetrieval, type RetrievalAccuracy } from './evaluate-retrieval.ts'
export { type EvaluateTextOptions, evaluateText, type PositionLoss, type TextEvaluation } from './evaluate-text.ts'
export type {
  FinishReason,
  GenerateRequest,
  Generation,
  GenerationEvent,
  GenerationResult,
  SamplingOptions,
  TokenLogprob,
} from './generation.ts'
export type { LocalEngine } from './local-engine.ts'
export { openEngine } from './open-engine.ts'
export { type EnginePlan, type MemoryPlan, planEngine } from './plan-engine.ts'
export { restorePrefixFile, savePrefixFile } from './prefix-file.ts'
export { type RetrievalDocument, type RetrievalSpec, retrievalDocument } from './retrieval-document.ts'
export { openEngineInWorker, type WorkerEngineOptions } from './worker/open-engine-in-worker.ts'
export type { WorkerEngine, WorkerTokenizer } from './worker/worker-engine.ts'
