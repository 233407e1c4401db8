import type { Engine } from '../engine.ts'
import type { GenerationEvent } from '../generation.ts'
import type { ActiveRequest, ActiveRequests } from './active-requests.ts'
import { type Answer, type AnswerForm, streamedAnswer, wholeAnswer } from './answer.ts'
import { ApiError, clientGone, toApiError } from './api-error.ts'
import { chatForm } from './chat-form.ts'
import { noChatTemplate, readChatRequest } from './chat-request.ts'
import { completionForm } from './completion-form.ts'
import { readCompletionRequest } from './completion-request.ts'
import { eventStream } from './event-stream.ts'
import type { Metrics } from './metrics.ts'
import { modelNotFound } from './model-not-found.ts'
import { readJsonBody } from './read-json-body.ts'
import type { ServerLimits } from './server-options.ts'
import { type ChoicesRequest, checkPrompts, encodePrompts, startChoices } from './start-choices.ts'

export interface Answering {
  readonly engine: Engine
  readonly limits: ServerLimits
  readonly requests: ActiveRequests
  readonly metrics: Metrics
  readonly onError: (error: unknown) => void
}

/** A request that was read: what to generate and how to put it. */
interface Prepared {
  readonly choices: ChoicesRequest
  /** the field that holds the prompt */
  readonly promptParam: string
  readonly form: AnswerForm
}

/** less than the minute after which proxies hang up on a silent connection */
const heartbeatMs = 15_000

/** POST /v1/chat/completions. `hangUp` closes the connection. Throws an ApiError. */
export function answerChat(answering: Answering, request: Request, hangUp: () => void): Promise<Response> {
  const { engine, limits } = answering
  return answer(answering, request, hangUp, async (body) => {
    const chat = readChatRequest(body)
    if (chat.model !== engine.name) throw modelNotFound(chat.model)
    if (!engine.tokenizer.hasChatTemplate) throw noChatTemplate(engine.name)
    checkPrompts(
      engine,
      [chat.messages.map(({ content }) => content).join('')],
      { param: 'messages', n: chat.n },
      limits,
    )
    const prompts = [await engine.tokenizer.encodeChat(chat.messages, { templateArguments: chat.templateArguments })]
    return { choices: { ...chat, prompts }, promptParam: 'messages', form: chatForm(engine.name, engine.tokenizer) }
  })
}

/** POST /v1/completions. `hangUp` closes the connection. Throws an ApiError. */
export function answerCompletion(answering: Answering, request: Request, hangUp: () => void): Promise<Response> {
  const { engine, limits } = answering
  return answer(answering, request, hangUp, async (body) => {
    const completion = readCompletionRequest(body)
    if (completion.model !== engine.name) throw modelNotFound(completion.model)
    const { n, echo } = completion
    checkPrompts(engine, completion.prompts, { param: 'prompt', n }, limits)
    const prompts = await encodePrompts(engine, completion.prompts)
    const echoes = completion.prompts.flatMap((prompt) =>
      new Array<string>(n).fill(typeof prompt === 'string' ? prompt : engine.tokenizer.decode(prompt)),
    )
    const ofChoices = prompts.flatMap((prompt) => new Array<readonly number[]>(n).fill(prompt))
    const form = completionForm(engine.name, engine.tokenizer, ofChoices, echo ? echoes : [])
    return { choices: { ...completion, prompts }, promptParam: 'prompt', form }
  })
}

async function answer(
  answering: Answering,
  request: Request,
  hangUp: () => void,
  prepare: (body: unknown) => Promise<Prepared>,
): Promise<Response> {
  const { engine, limits, requests, metrics } = answering
  const active = requests.open(request.signal, () => retryAfter(answering))
  const toError = (error: unknown) => errorOf(answering, active, error)
  let streaming = false
  try {
    const body = await readJsonBody(request, limits.bodyBytes, active.signal)
    if (active.reason) throw active.reason
    const { choices, promptParam, form } = await prepare(body)
    if (active.reason) throw active.reason
    const generations = startChoices(engine, choices, promptParam, active.signal)
    const onResult = metrics.observeGeneration.bind(metrics)
    // the token that ends a text is no part of it
    const isEnd = (token: number) => !choices.ignoreEos && engine.tokenizer.eosTokens.includes(token)
    const keepsLogprob = ({ token }: GenerationEvent) => choices.logprobs !== null && !isEnd(token)
    const work: Answer = { form, generations, n: choices.n, keepsLogprob, onResult, toError }
    if (!choices.stream) {
      const whole = await wholeAnswer(work)
      metrics.observeAnswer(performance.now() - active.startedMs)
      return Response.json(whole)
    }
    streaming = true
    const events = eventStream(streamedAnswer(work, choices.includeUsage), {
      heartbeatMs,
      stallMs: limits.stallMs,
      onStall: hangUp,
      onEnd(complete) {
        if (complete) metrics.observeAnswer(performance.now() - active.startedMs)
        else active.abort(clientGone())
        active.end()
      },
    })
    return new Response(events, { headers: { 'content-type': 'text/event-stream', 'cache-control': 'no-cache' } })
  } catch (error) {
    throw toError(error)
  } finally {
    if (!streaming) active.end()
  }
}

/** What ended the request comes before what followed from it. Faults of the server are reported to its owner. */
function errorOf(answering: Answering, active: ActiveRequest, error: unknown): ApiError {
  const shown = active.reason ?? toApiError(error, () => retryAfter(answering))
  if (shown.status === 500 && !(error instanceof ApiError)) answering.onError(error)
  return shown
}

/** Seconds until the queue has moved by about as many answers as wait in it. */
function retryAfter({ engine, metrics }: Answering): number {
  const { running, waiting } = engine.stats()
  return (metrics.meanSeconds * (waiting + 1)) / Math.max(1, running)
}
