import type { Tokenizer } from '../model/tokenizer.ts'
import { checkFields, type FieldsOf, FoveaError } from '../tile/index.ts'
import { checkSampling } from './check-sampling.ts'
import type { GenerateRequest, SamplingOptions } from './generation.ts'

/** most log-probabilities given at a step, and most stop texts of a request */
const mostLogprobs = 20
const mostStops = 16

/** A request as the engine runs it: tokens, and every default filled in. */
export interface CheckedRequest {
  readonly prompt: readonly number[]
  readonly maxTokens: number
  readonly stop: readonly string[]
  readonly ignoreEos: boolean
  readonly sampling: Required<SamplingOptions>
  /** null when none are asked for */
  readonly logprobs: number | null
  readonly signal: AbortSignal | null
}

/** What a request is held against. */
export interface RequestLimits {
  readonly tokenizer: Tokenizer
  readonly vocabSize: number
  readonly contextLength: number
}

const defaultMaxTokens = 256

/** Throws `argument` (a field of the wrong kind or out of range) and `capacity` (a prompt beyond the context) in the name of `where`. */
export function checkRequest(where: string, request: GenerateRequest, limits: RequestLimits): CheckedRequest {
  checkFields(where, 'request', request, fields)
  const { tokenizer, vocabSize, contextLength } = limits
  const { maxTokens = defaultMaxTokens, stop = [], logprobs = null, signal = null } = request
  const fail = (message: string): never => {
    throw new FoveaError('argument', where, message)
  }
  if (!Number.isSafeInteger(maxTokens) || maxTokens < 1)
    fail(`maxTokens must be a whole number of at least 1, got ${maxTokens}`)
  if (!Array.isArray(stop) || stop.length > mostStops || !stop.every((s) => typeof s === 'string' && s !== ''))
    fail(`stop must be at most ${mostStops} texts, none empty, got ${JSON.stringify(stop)?.slice(0, 80)}`)
  if (logprobs !== null && !(Number.isInteger(logprobs) && logprobs >= 0 && logprobs <= mostLogprobs))
    fail(`logprobs must be a whole number from 0 to ${mostLogprobs}, got ${logprobs}`)
  if (signal !== null && typeof signal.addEventListener !== 'function')
    fail(`signal must be an AbortSignal, got ${typeof signal}`)
  const sampling = checkSampling(where, request.sampling ?? {})

  const given: unknown = request.prompt
  if (typeof given !== 'string' && !Array.isArray(given))
    fail(`prompt must be a text or token ids, got ${typeof given}`)
  let prompt = typeof given === 'string' ? tokenizer.encode(given) : (given as readonly number[])
  const foreign = prompt.findIndex((token) => !Number.isInteger(token) || token < 0 || token >= vocabSize)
  if (foreign >= 0) fail(foreignToken(prompt[foreign] as number, foreign, limits))
  if (prompt.length === 0) fail('prompt has no tokens')
  // one token of the context is left for the answer
  if (prompt.length >= contextLength) {
    if (!request.truncatePrompt)
      throw new FoveaError(
        'capacity',
        where,
        `prompt has ${prompt.length} tokens; the context holds ${contextLength}, the answer included (truncatePrompt keeps the newest)`,
      )
    prompt = truncated(prompt, Math.max(1, contextLength - maxTokens), tokenizer.bosToken)
  }
  return {
    prompt,
    maxTokens: Math.min(maxTokens, contextLength - prompt.length),
    stop,
    ignoreEos: request.ignoreEos ?? false,
    sampling,
    logprobs,
    signal,
  }
}

/** A tokenizer may have more tokens than the embedding has rows, such as a <pad> that was added to it alone. */
function foreignToken(token: number, at: number, { tokenizer, vocabSize }: RequestLimits): string {
  const range = `tokens go from 0 to ${vocabSize - 1}`
  const known = Number.isInteger(token) && token >= vocabSize && token < tokenizer.vocabSize
  if (!known) return `prompt has ${token} at ${at}; ${range}`
  const name = JSON.stringify(tokenizer.piece(token).text)
  return `prompt has the token ${token} (${name}) at ${at}, for which the model has no row; ${range}`
}

/** The newest tokens, behind the begin token where the prompt has one. */
function truncated(prompt: readonly number[], length: number, bosToken: number | null): readonly number[] {
  if (bosToken === null || prompt[0] !== bosToken || length < 2) return prompt.slice(-length)
  return [bosToken, ...prompt.slice(-(length - 1))]
}

const fields: FieldsOf<GenerateRequest> = {
  prompt: true,
  maxTokens: true,
  stop: true,
  ignoreEos: true,
  sampling: true,
  logprobs: true,
  truncatePrompt: true,
  signal: true,
}
