import type { CachedSequence } from '../cache/cached-sequence.ts'
import type { Tokenizer } from '../model/tokenizer.ts'
import { settingsRow } from '../nn/sampling/sampling-settings.ts'
import type { CheckedRequest } from './check-request.ts'
import type { FinishReason, GenerationEvent } from './generation.ts'
import type { GenerationStream } from './generation-stream.ts'
import { StopTexts } from './stop-texts.ts'
import { TextStream } from './text-stream.ts'

/** A generation between its request and its result: its tokens, and where their keys and values lie. */
export class ActiveSequence {
  readonly request: CheckedRequest
  readonly stream: GenerationStream
  /** of its request, as the sampler takes them */
  readonly settings: readonly number[]
  /** prompt, then answer */
  readonly tokens: number[]
  /** pages of the tokens computed so far; null while it waits */
  pages: CachedSequence | null = null
  /** of the prompt, how many were found in the cache when it was first admitted */
  cachedTokens = 0
  cancelled = false
  readonly queuedAt = performance.now()
  startedAt: number | null = null
  firstTokenAt: number | null = null
  readonly #text: TextStream
  readonly #stops: StopTexts
  #given = ''

  constructor(request: CheckedRequest, stream: GenerationStream, tokenizer: Tokenizer) {
    this.request = request
    this.stream = stream
    const { seed: _, ...settings } = request.sampling
    this.settings = settingsRow(settings)
    this.tokens = [...request.prompt]
    this.#text = new TextStream(tokenizer, request.prompt)
    this.#stops = new StopTexts(request.stop)
  }

  /** tokens whose keys and values are not in the cache yet */
  get remaining(): number {
    return this.tokens.length - (this.pages?.length ?? 0)
  }

  get completion(): readonly number[] {
    return this.tokens.slice(this.request.prompt.length)
  }

  /** Takes the next token of the answer; tells why the generation ends with it, null when it goes on. */
  accept(token: number, logprob: GenerationEvent['logprob'], ends: boolean): FinishReason | null {
    const { request } = this
    this.firstTokenAt ??= performance.now()
    this.tokens.push(token)
    const length = this.tokens.length - request.prompt.length
    const last = ends || length >= request.maxTokens
    let text = ends ? '' : this.#stops.push(this.#text.push(token))
    if (last && !this.#stops.stopped) text += this.#stops.push(this.#text.flush())
    const stopped = this.#stops.stopped
    if (last && !stopped) text += this.#stops.flush()
    this.#given += text
    this.stream.push({ token, text, logprob })
    return ends || stopped ? 'stop' : last ? 'length' : null
  }

  /** Settles the stream. */
  finish(finishReason: FinishReason): void {
    const now = performance.now()
    const started = this.startedAt ?? now
    const first = this.firstTokenAt ?? now
    this.stream.end({
      text: this.#given,
      tokens: this.completion,
      finishReason,
      usage: {
        promptTokens: this.request.prompt.length,
        cachedTokens: this.cachedTokens,
        completionTokens: this.tokens.length - this.request.prompt.length,
      },
      timing: { queuedMs: started - this.queuedAt, prefillMs: first - started, decodeMs: now - first },
    })
  }
}
