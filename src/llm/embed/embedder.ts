import type { Device } from '../../device/index.ts'
import type { Pooling } from '../../model/encoders/encoder-spec.ts'
import type { TextSettings } from '../../model/encoders/text-settings.ts'
import type { Tokenizer } from '../../model/tokenizer.ts'
import { checkFields, type FieldsOf, FoveaError, meant } from '../../tile/index.ts'
import type { EncoderParts } from './open-encoder-parts.ts'
import { PendingCalls } from './pending-calls.ts'
import type { EmbedderMemoryPlan } from './plan-embedder.ts'
import { readText, type TextRules } from './read-texts.ts'
import { runTexts } from './run-texts.ts'

/** A text, or its token ids as they are given to the model, with what stands around a text. */
export type TextOrTokens = string | readonly number[]

export interface EmbedTextsOptions {
  /** goes before each text ("search_query: "); none by default, or what the model's files name as the default */
  readonly prompt?: string
  /** name of a prompt that the model's files have ("query", "document") */
  readonly promptName?: string
  readonly signal?: AbortSignal
  /** called after each step */
  readonly onProgress?: (done: number, total: number) => void
}

/** A model that makes vectors of texts. Made by `openEmbedder`. */
export class Embedder {
  readonly name: string
  /** numbers of a vector */
  readonly dimensions: number
  readonly pooling: Pooling
  readonly normalize: boolean
  /** most tokens of a text, with what stands around it */
  readonly maxTokens: number
  /** prompts that the model's files have, by name */
  readonly prompts: ReadonlyMap<string, string>
  readonly tokenizer: Tokenizer
  readonly device: Device
  /** what was allocated, as it was planned */
  readonly memory: EmbedderMemoryPlan
  readonly #parts: EncoderParts
  readonly #settings: TextSettings
  readonly #rules: TextRules
  readonly #calls = new PendingCalls('embedder')

  constructor(
    parts: EncoderParts,
    options: {
      readonly name: string
      readonly pooling: Pooling
      readonly normalize: boolean
      readonly dimensions: number
      readonly truncate: boolean
    },
  ) {
    const { checkpoint, plan, device } = parts
    this.#parts = parts
    this.#settings = checkpoint.settings
    this.name = options.name
    this.dimensions = options.dimensions
    this.pooling = options.pooling
    this.normalize = options.normalize
    this.maxTokens = plan.maxTokens
    this.prompts = checkpoint.settings.prompts
    this.tokenizer = checkpoint.tokenizer
    this.device = device
    this.memory = plan.memory
    const { spec, tokenizer, settings } = checkpoint
    const { truncate } = options
    const rules = { spec, tokenizer, maxTokens: plan.maxTokens, truncate, lowerCase: settings.lowerCase }
    this.#rules = { where: 'embedder.embed', ...rules }
  }

  /**
   * The vectors of texts, in their order, f32 [dimensions] each: hidden states pooled, cut to `dimensions`, and divided by
   * their length where `normalize` says so. Texts are packed into steps; a vector does not depend on those beside it.
   *
   * Rejects with `argument` naming the text or option, `capacity` for a text that is too long, `cancelled`, `disposed`.
   */
  async embed(texts: readonly TextOrTokens[], options: EmbedTextsOptions = {}): Promise<Float32Array[]> {
    const where = 'embedder.embed'
    return this.#calls.run(where, () => this.#embed(where, texts, options))
  }

  /** Refuses new calls and frees everything, after those that run. */
  close(): Promise<void> {
    return this.#calls.close(() => this.#parts.release())
  }

  async #embed(where: string, texts: readonly TextOrTokens[], options: EmbedTextsOptions): Promise<Float32Array[]> {
    checkFields(where, 'options', options, fields)
    if (!Array.isArray(texts)) throw new FoveaError('argument', where, `texts must be a list, got ${typeof texts}`)
    const { signal = null, onProgress = null } = options
    const prompt = this.#prompt(where, options)
    const read = []
    for (const [i, text] of texts.entries()) {
      if (signal?.aborted) throw new FoveaError('cancelled', where, 'before the first step')
      read.push(await readText(this.#rules, `texts[${i}]`, [typeof text === 'string' ? prompt + text : text]))
    }
    const pooled = await runTexts(this.#parts.runner, read, this.pooling, { where, signal, onProgress })
    return pooled.map((vector) => this.#finished(vector))
  }

  #prompt(where: string, { prompt, promptName }: EmbedTextsOptions): string {
    if (prompt !== undefined && promptName !== undefined)
      throw new FoveaError('argument', where, 'prompt and promptName both say what goes before a text: choose one')
    if (prompt !== undefined) {
      if (typeof prompt === 'string') return prompt
      throw new FoveaError('argument', where, `prompt must be a text, got ${typeof prompt}`)
    }
    const { prompts, defaultPrompt } = this.#settings
    const name = promptName ?? defaultPrompt
    if (name === null) return ''
    const found = prompts.get(name)
    if (found !== undefined) return found
    const known = prompts.size === 0 ? '; the model has none' : meant(String(name), [...prompts.keys()])
    throw new FoveaError('argument', where, `promptName is ${JSON.stringify(name)}, no prompt of the model${known}`)
  }

  #finished(pooled: Float32Array): Float32Array {
    const vector = pooled.slice(0, this.dimensions)
    if (!this.normalize) return vector
    const length = Math.hypot(...vector)
    return length > 0 ? vector.map((x) => x / length) : vector
  }
}

const fields: FieldsOf<EmbedTextsOptions> = { prompt: true, promptName: true, signal: true, onProgress: true }
