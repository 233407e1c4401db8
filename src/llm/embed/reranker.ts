import type { Device } from '../../device/index.ts'
import type { Tokenizer } from '../../model/tokenizer.ts'
import { checkFields, type FieldsOf, FoveaError } from '../../tile/index.ts'
import type { EncoderParts } from './open-encoder-parts.ts'
import { PendingCalls } from './pending-calls.ts'
import type { EmbedderMemoryPlan } from './plan-embedder.ts'
import { readText, type TextRules } from './read-texts.ts'
import { runTexts } from './run-texts.ts'

export interface ScoreOptions {
  readonly signal?: AbortSignal
  /** called after each step */
  readonly onProgress?: (done: number, total: number) => void
}

/** A model that scores texts for a query. Made by `openReranker`. */
export class Reranker {
  readonly name: string
  /** what is done to the model's numbers */
  readonly activation: 'sigmoid' | 'none'
  /** most tokens of query and text, with what stands around them */
  readonly maxTokens: number
  readonly tokenizer: Tokenizer
  readonly device: Device
  /** what was allocated, as it was planned */
  readonly memory: EmbedderMemoryPlan
  readonly #parts: EncoderParts
  readonly #rules: TextRules
  readonly #calls = new PendingCalls('reranker')

  constructor(
    parts: EncoderParts,
    options: { readonly name: string; readonly activation: 'sigmoid' | 'none'; readonly truncate: boolean },
  ) {
    const { checkpoint, plan, device } = parts
    const { spec, tokenizer, settings } = checkpoint
    this.#parts = parts
    this.name = options.name
    this.activation = options.activation
    this.maxTokens = plan.maxTokens
    this.tokenizer = tokenizer
    this.device = device
    this.memory = plan.memory
    const { truncate } = options
    const rules = { spec, tokenizer, maxTokens: plan.maxTokens, truncate, lowerCase: settings.lowerCase }
    this.#rules = { where: 'reranker.score', ...rules }
  }

  /**
   * How well each text answers the query, in their order: the model's number s, or 1 / (1 + e⁻ˢ) when `activation` is
   * "sigmoid". The order of the texts is the same either way.
   *
   * Rejects with `argument` naming the text, `capacity` for a pair that is too long, `unsupported` (a tokenizer without a place
   * for two texts), `cancelled`, `disposed`.
   */
  async score(query: string, texts: readonly string[], options: ScoreOptions = {}): Promise<Float32Array> {
    const where = 'reranker.score'
    return this.#calls.run(where, () => this.#score(where, query, texts, options))
  }

  /** Refuses new calls and frees everything, after those that run. */
  close(): Promise<void> {
    return this.#calls.close(() => this.#parts.release())
  }

  async #score(where: string, query: string, texts: readonly string[], options: ScoreOptions): Promise<Float32Array> {
    checkFields(where, 'options', options, fields)
    if (typeof query !== 'string') throw new FoveaError('argument', where, `query must be a text, got ${typeof query}`)
    if (!Array.isArray(texts)) throw new FoveaError('argument', where, `texts must be a list, got ${typeof texts}`)
    const { signal = null, onProgress = null } = options
    const read = []
    for (const [i, text] of texts.entries()) {
      if (signal?.aborted) throw new FoveaError('cancelled', where, 'before the first step')
      read.push(await readText(this.#rules, `query and texts[${i}]`, [query, text]))
    }
    const scores = await runTexts(this.#parts.runner, read, 'score', { where, signal, onProgress })
    const finish = this.activation === 'sigmoid' ? (s: number) => 1 / (1 + Math.exp(-s)) : (s: number) => s
    return Float32Array.from(scores, ([s]) => finish(s as number))
  }
}

const fields: FieldsOf<ScoreOptions> = { signal: true, onProgress: true }
