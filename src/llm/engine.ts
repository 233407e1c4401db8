import type { Tokenizer } from '../model/tokenizer.ts'
import type { GenerateRequest, Generation } from './generation.ts'

/** Numbers for people and for /metrics; counts since the engine opened. */
export interface EngineStats {
  readonly running: number
  readonly waiting: number
  readonly pages: { readonly total: number; readonly used: number; readonly cached: number; readonly free: number }
  readonly promptTokens: number
  readonly cachedTokens: number
  readonly completionTokens: number
  /** tokens that were proposed, and those of them that proved right */
  readonly draftTokens: number
  readonly acceptedTokens: number
  readonly steps: number
  readonly finished: {
    readonly stop: number
    readonly length: number
    readonly cancelled: number
    readonly failed: number
  }
  readonly memory: { readonly planned: number; readonly allocated: number; readonly peak: number }
}

/** A model that generates for several callers at once: continuous batching over one paged cache. */
export interface Engine {
  /** name of the model, as the server lists it */
  readonly name: string
  readonly tokenizer: Tokenizer
  /** most tokens of prompt and answer together */
  readonly contextLength: number
  /**
   * Queues a generation. Throws `argument` (sampling out of range, an empty prompt, a token outside the vocabulary), `capacity`
   * (prompt beyond the context, queue full), `disposed` (closed).
   */
  generate(request: GenerateRequest): Generation
  stats(): EngineStats
  /** Refuses what is new; finishes what runs (`drain: true`) or cancels it; then frees everything. */
  close(options?: { readonly drain?: boolean }): Promise<void>
}
