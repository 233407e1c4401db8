import type { FinishReason, Generation, GenerationEvent, GenerationResult } from '../generation.ts'
import { type ApiError, shuttingDown } from './api-error.ts'
import { mergeIterables } from './merge-iterables.ts'

type Ending = Exclude<FinishReason, 'cancelled'>

/** How chat and completions differ in what they answer. Logprobs of no events are null. */
export interface AnswerForm {
  /** what every object of the answer carries: id, created, model */
  readonly head: Readonly<Record<string, unknown>>
  readonly object: string
  readonly chunkObject: string
  /** the first piece of a streamed choice, before any token (null: none) */
  opening(choice: number): object | null
  piece(choice: number, text: string, events: readonly GenerationEvent[]): object
  /** the last piece of a streamed choice */
  closing(choice: number, finishReason: Ending): object
  whole(choice: number, text: string, events: readonly GenerationEvent[], finishReason: Ending): object
}

export interface Answer {
  readonly form: AnswerForm
  readonly generations: readonly Generation[]
  /** generations of each prompt, whose tokens are counted once */
  readonly n: number
  /** whether the log-probability of a step is part of the answer */
  readonly keepsLogprob: (event: GenerationEvent) => boolean
  /** called for each generation that came to its end */
  readonly onResult: (result: GenerationResult) => void
  /** what the client is told of an error */
  readonly toError: (error: unknown) => ApiError
}

/** The answer as one object. Throws what made a generation fail. */
export async function wholeAnswer(answer: Answer): Promise<object> {
  const { form, generations } = answer
  const events = generations.map((): GenerationEvent[] => [])
  for await (const { source, value } of mergeIterables(generations))
    if (answer.keepsLogprob(value)) events[source]?.push(value)
  const results = await Promise.all(generations.map((each) => finished(answer, each)))
  const choices = results.map(({ result, ending }, i) => form.whole(i, result.text, events[i] ?? [], ending))
  return { ...form.head, object: form.object, choices, usage: usage(results, answer.n) }
}

/**
 * The answer as the data of server-sent events. It does not throw: what goes wrong is its last event, as the official
 * client expects it.
 */
export async function* streamedAnswer(answer: Answer, includeUsage: boolean): AsyncGenerator<string, void, undefined> {
  const { form, generations } = answer
  const chunk = (choices: readonly object[], counted: object | null = null) =>
    JSON.stringify({ ...form.head, object: form.chunkObject, choices, ...(includeUsage && { usage: counted }) })
  const sent = generations.map(() => 0)
  try {
    for (const choice of generations.keys()) {
      const opening = form.opening(choice)
      if (opening) yield chunk([opening])
    }
    const results: Finished[] = []
    for await (const { source, value } of mergeIterables(generations.map(withEnd))) {
      if (value !== null) {
        sent[source] = (sent[source] ?? 0) + value.text.length
        const events = answer.keepsLogprob(value) ? [value] : []
        if (value.text !== '' || events.length > 0) yield chunk([form.piece(source, value.text, events)])
        continue
      }
      const { result, ending } = await finished(answer, generations[source] as Generation)
      results[source] = { result, ending }
      // text held back as the possible begin of a stop text
      const rest = result.text.slice(sent[source])
      if (rest !== '') yield chunk([form.piece(source, rest, [])])
      yield chunk([form.closing(source, ending)])
    }
    if (includeUsage) yield chunk([], usage(results, answer.n))
    yield '[DONE]'
  } catch (error) {
    yield JSON.stringify(answer.toError(error).body)
  }
}

/** The events of a generation, then null. */
async function* withEnd(generation: Generation): AsyncGenerator<GenerationEvent | null, void, undefined> {
  yield* generation
  yield null
}

interface Finished {
  readonly result: GenerationResult
  readonly ending: Ending
}

/** Throws what made a generation fail; one that nobody here cancelled was ended by the engine's closing. */
async function finished({ onResult }: Answer, generation: Generation): Promise<Finished> {
  const result = await generation.result
  const ending = result.finishReason
  if (ending === 'cancelled') throw shuttingDown()
  onResult(result)
  return { result, ending }
}

function usage(results: readonly Finished[], n: number): object {
  const sum = (list: readonly Finished[], count: (usage: GenerationResult['usage']) => number) =>
    list.reduce((total, { result }) => total + count(result.usage), 0)
  const prompts = results.filter((_, i) => i % n === 0)
  const promptTokens = sum(prompts, (each) => each.promptTokens)
  const completionTokens = sum(results, (each) => each.completionTokens)
  return {
    prompt_tokens: promptTokens,
    completion_tokens: completionTokens,
    total_tokens: promptTokens + completionTokens,
    prompt_tokens_details: { cached_tokens: sum(prompts, (each) => each.cachedTokens) },
  }
}
