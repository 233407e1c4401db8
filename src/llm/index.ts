export { Embedder, type EmbedTextsOptions, type TextOrTokens } from './embed/embedder.ts'
export type { EmbedderOptions, EncoderOptions, RerankerOptions } from './embed/embedder-options.ts'
export { openEmbedder } from './embed/open-embedder.ts'
export { openReranker } from './embed/open-reranker.ts'
export { type EmbedderMemoryPlan, type EmbedderPlan, planEmbedder } from './embed/plan-embedder.ts'
export { Reranker, type ScoreOptions } from './embed/reranker.ts'
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
