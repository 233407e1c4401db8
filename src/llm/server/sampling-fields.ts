import type { SamplingOptions } from '../generation.ts'
import { invalidField } from './api-error.ts'
import {
  flag,
  ignored,
  integer,
  listOf,
  number,
  object,
  optional,
  type Read,
  type Reader,
  refused,
  text,
} from './field-reader.ts'

const most = Number.MAX_SAFE_INTEGER

/** `stop`: a text or up to four. */
const stopTexts: Reader<readonly string[]> = (value, path) =>
  typeof value === 'string' ? [text(1)(value, path)] : listOf(text(1), 0, 4)(value, path)

/** Fields that chat and completions share; defaults are OpenAI's. The last rows are extensions that other servers have. */
export const samplingFields = {
  model: text(1),
  n: optional(integer(1, most), 1),
  max_tokens: optional(integer(1, most), null),
  stop: optional(stopTexts, []),
  stream: optional(flag, false),
  stream_options: optional(object({ include_usage: optional(flag, false), include_obfuscation: ignored }), null),
  temperature: optional(number(0, 2), 1),
  top_p: optional(number(0, 1), 1),
  presence_penalty: optional(number(-2, 2), 0),
  frequency_penalty: optional(number(-2, 2), 0),
  seed: optional(integer(Number.MIN_SAFE_INTEGER, most), null),
  logit_bias: refused((value) => typeof value === 'object' && value !== null && Object.keys(value).length === 0),
  user: ignored,
  top_k: optional(integer(-1, most), 0),
  min_p: optional(number(0, 1), 0),
  // scores are divided by it: what is next to 0 makes them infinite
  repetition_penalty: optional(number(0.01, 100), 1),
  ignore_eos: optional(flag, false),
} as const satisfies Record<string, Reader<unknown>>

export type SamplingFields = Read<typeof samplingFields>

/** What the engine needs of a request, apart from its prompts. */
export interface AnswerOptions {
  readonly n: number
  readonly stop: readonly string[]
  readonly ignoreEos: boolean
  readonly sampling: SamplingOptions
  readonly stream: boolean
  readonly includeUsage: boolean
}

/** Throws a 400 where fields do not go together. */
export function answerOptions(fields: SamplingFields): AnswerOptions {
  if (fields.stream_options && !fields.stream)
    throw invalidField('stream_options', 'stream_options is only allowed when stream is true')
  return {
    n: fields.n,
    stop: fields.stop,
    ignoreEos: fields.ignore_eos,
    stream: fields.stream,
    includeUsage: fields.stream_options?.include_usage ?? false,
    sampling: {
      temperature: fields.temperature,
      topP: fields.top_p,
      topK: Math.max(0, fields.top_k),
      minP: fields.min_p,
      presencePenalty: fields.presence_penalty,
      frequencyPenalty: fields.frequency_penalty,
      repetitionPenalty: fields.repetition_penalty,
      // OpenAI's seeds have 64 bits, of which the lower 32 are taken
      ...(fields.seed !== null && { seed: fields.seed >>> 0 }),
    },
  }
}
