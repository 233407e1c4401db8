import type { Engine } from '../engine.ts'
import type { Generation } from '../generation.ts'
import { contextExceeded, invalidField } from './api-error.ts'
import type { AnswerOptions } from './sampling-fields.ts'
import type { ServerLimits } from './server-options.ts'

export interface ChoicesRequest extends AnswerOptions {
  readonly prompts: readonly (readonly number[])[]
  /** null: as many as the context leaves room for */
  readonly maxTokens: { readonly value: number; readonly param: string } | null
  readonly logprobs: number | null
}

/** Throws a 400 for too many prompts, or one whose characters show, before it is encoded, that it is too long. */
export function checkPrompts(
  engine: Engine,
  prompts: readonly (string | readonly number[])[],
  options: { readonly param: string; readonly n: number },
  limits: ServerLimits,
): void {
  const choices = prompts.length * options.n
  if (choices > limits.choices)
    throw invalidField(
      'n',
      `prompts times n must be at most ${limits.choices}, got ${prompts.length} times ${options.n}`,
    )
  for (const prompt of prompts)
    if (typeof prompt === 'string' && prompt.length > limits.promptCharacters)
      throw contextExceeded(
        options.param,
        `the prompt has ${prompt.length} characters; this server takes ${limits.promptCharacters} for a context of ${engine.contextLength} tokens`,
      )
}

/** Prompts as tokens, encoded in slices between which other requests are answered. */
export async function encodePrompts(
  { tokenizer }: Engine,
  prompts: readonly (string | readonly number[])[],
): Promise<number[][]> {
  const encoded: number[][] = []
  for (const prompt of prompts)
    encoded.push(typeof prompt === 'string' ? await tokenizer.encodeAsync(prompt) : [...prompt])
  return encoded
}

/**
 * Queues n generations of each prompt, prompts first: choice i is of prompt ⌊i / n⌋. All or none: when one is refused,
 * those before it are cancelled, as all are when the signal aborts. With a seed, choice j of a prompt has the seed plus j.
 */
export function startChoices(
  engine: Engine,
  request: ChoicesRequest,
  promptParam: string,
  signal: AbortSignal,
): Generation[] {
  const { n, sampling, stop, ignoreEos, logprobs } = request
  const started: Generation[] = []
  const cancel = () => {
    for (const generation of started) generation.cancel()
  }
  signal.addEventListener('abort', cancel)
  try {
    for (const prompt of request.prompts) {
      const maxTokens = answerTokens(engine, prompt.length, request.maxTokens, promptParam)
      for (let j = 0; j < n; j++) {
        const seed = sampling.seed === undefined ? {} : { seed: (sampling.seed + j) >>> 0 }
        const generation = engine.generate({
          prompt,
          maxTokens,
          stop,
          ignoreEos,
          sampling: { ...sampling, ...seed },
          ...(logprobs !== null && { logprobs }),
        })
        // awaited later, or never when its client goes
        generation.result.catch(() => {})
        started.push(generation)
      }
    }
  } catch (error) {
    cancel()
    throw error
  }
  // a signal that has aborted says so no more
  if (signal.aborted) cancel()
  return started
}

/** How many tokens an answer may have; throws a 400 where prompt and answer cannot fit together. */
function answerTokens(
  { contextLength }: Engine,
  promptTokens: number,
  asked: ChoicesRequest['maxTokens'],
  promptParam: string,
): number {
  const room = contextLength - promptTokens
  if (room < 1)
    throw contextExceeded(
      promptParam,
      `the context holds ${contextLength} tokens, of which one at least is the answer's; the prompt has ${promptTokens}`,
    )
  if (asked && asked.value > room)
    throw contextExceeded(
      asked.param,
      `the context holds ${contextLength} tokens; the prompt has ${promptTokens} and ${asked.param} asks for ${asked.value}`,
    )
  return asked?.value ?? room
}
