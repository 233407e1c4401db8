/** How the next token is chosen. All are checked by `checkSampling`; defaults in parentheses. */
export interface SamplingOptions {
  /** scores are divided by it; 0 takes the most likely token (1) */
  readonly temperature?: number
  /** only the k most likely tokens; 0 for all (0) */
  readonly topK?: number
  /** only the most likely tokens that together reach this probability (1) */
  readonly topP?: number
  /** only tokens at least this likely relative to the most likely one (0) */
  readonly minP?: number
  /** divides positive and multiplies negative scores of tokens that occurred, in prompt or answer (1) */
  readonly repetitionPenalty?: number
  /** subtracted from the score of a token that occurred in the answer, once (0) and per occurrence (0) */
  readonly presencePenalty?: number
  readonly frequencyPenalty?: number
  /** a whole number from 0 to 2³² − 1; the same seed and request give the same tokens (drawn at random) */
  readonly seed?: number
}

export interface GenerateRequest {
  /** text (encoded with the special tokens of the model), or token ids as they are */
  readonly prompt: string | readonly number[]
  /** most tokens to generate (256) */
  readonly maxTokens?: number
  /** texts that end the generation; they are not part of its text (none) */
  readonly stop?: readonly string[]
  /** go on after end-of-text tokens (false) */
  readonly ignoreEos?: boolean
  readonly sampling?: SamplingOptions
  /** log-probabilities of this many most likely tokens at each step, 0 for that of the chosen token alone (none) */
  readonly logprobs?: number
  /** a prompt too long for the context loses its oldest tokens instead of being refused (false) */
  readonly truncatePrompt?: boolean
  readonly signal?: AbortSignal
}

export interface TokenLogprob {
  readonly token: number
  /** natural logarithm of its probability, before temperature and filters */
  readonly logprob: number
}

/** One step of a generation. `text` may be empty while bytes of a character or a stop text are incomplete. */
export interface GenerationEvent {
  readonly token: number
  readonly text: string
  readonly logprob: (TokenLogprob & { readonly top: readonly TokenLogprob[] }) | null
}

export type FinishReason = 'stop' | 'length' | 'cancelled'

export interface GenerationResult {
  readonly text: string
  readonly tokens: readonly number[]
  readonly finishReason: FinishReason
  readonly usage: {
    readonly promptTokens: number
    /** of the prompt, those found in the cache */
    readonly cachedTokens: number
    readonly completionTokens: number
  }
  readonly timing: {
    readonly queuedMs: number
    /** from start to first token */
    readonly prefillMs: number
    readonly decodeMs: number
  }
}

/**
 * A generation under way. Iterating gives its steps as they come (an iterator that is left early cancels it); `result`
 * settles at its end, also when nobody iterates, and rejects with what made it fail.
 */
export interface Generation extends AsyncIterable<GenerationEvent> {
  readonly id: number
  readonly result: Promise<GenerationResult>
  /** ends it with `cancelled` after the step under way; its pages are freed */
  cancel(): void
  /** called after each chunk of the prompt, until all of it is read */
  onPrefill: ((done: number, total: number) => void) | null
}
