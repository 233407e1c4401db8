import { invalidField } from './api-error.ts'
import { flag, integer, listOf, object, optional, type Reader, refused, text, wrongType } from './field-reader.ts'
import { type AnswerOptions, answerOptions, samplingFields } from './sampling-fields.ts'

/** `/v1/completions`, read. */
export interface CompletionRequest extends AnswerOptions {
  readonly model: string
  readonly prompts: readonly (string | readonly number[])[]
  readonly maxTokens: { readonly value: number; readonly param: string }
  /** of how many most likely tokens; null for none */
  readonly logprobs: number | null
  /** begin the text with the prompt */
  readonly echo: boolean
}

const most = Number.MAX_SAFE_INTEGER
const token = integer(0, 2 ** 31 - 1)

/** A prompt may be long: paths are spelled out for what is wrong only. */
const tokens: Reader<readonly number[]> = (value, path) => {
  const list = listOf((entry) => entry, 1, most)(value, path)
  return list.map((entry, i) => (Number.isInteger(entry) ? token(entry, path) : token(entry, `${path}[${i}]`)))
}

const onePrompt: Reader<string | readonly number[]> = (value, path) =>
  Array.isArray(value) ? tokens(value, path) : text()(value, path)

/** A text, a list of texts, a list of tokens, or a list of lists of tokens. */
const prompts: Reader<readonly (string | readonly number[])[]> = (value, path) => {
  if (typeof value === 'string') return [value]
  if (!Array.isArray(value)) throw wrongType(path, 'a string, a list of strings, or tokens', value)
  return typeof value[0] === 'number' ? [tokens(value, path)] : listOf(onePrompt, 1, most)(value, path)
}

const completionFields = object({
  ...samplingFields,
  prompt: prompts,
  max_tokens: optional(integer(1, most), 16),
  logprobs: optional(integer(0, 5), null),
  echo: optional(flag, false),
  best_of: optional(integer(1, most), null),
  suffix: refused((value) => value === ''),
})

/** Throws a 400 with the path of the field. */
export function readCompletionRequest(body: unknown): CompletionRequest {
  const fields = completionFields(body, '')
  if (fields.best_of !== null && fields.best_of !== fields.n)
    throw invalidField('best_of', 'best_of other than n is not supported by this server', 'unsupported_parameter')
  if (fields.echo && fields.logprobs !== null)
    throw invalidField('echo', 'echo with logprobs is not supported by this server', 'unsupported_parameter')
  return {
    ...answerOptions(fields),
    model: fields.model,
    prompts: fields.prompt,
    maxTokens: { value: fields.max_tokens, param: 'max_tokens' },
    logprobs: fields.logprobs,
    echo: fields.echo,
  }
}
