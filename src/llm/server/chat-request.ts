import type { ChatMessage } from '../../model/tokenizer.ts'
import { ApiError, invalidField } from './api-error.ts'
import {
  flag,
  ignored,
  integer,
  listOf,
  object,
  oneOf,
  optional,
  type Reader,
  refused,
  text,
  wrongType,
} from './field-reader.ts'
import { type AnswerOptions, answerOptions, samplingFields } from './sampling-fields.ts'

/** `/v1/chat/completions`, read. */
export interface ChatRequest extends AnswerOptions {
  readonly model: string
  readonly messages: readonly ChatMessage[]
  /** names of the template's own */
  readonly templateArguments: Readonly<Record<string, unknown>>
  readonly maxTokens: { readonly value: number; readonly param: string } | null
  /** of how many most likely tokens; null for none */
  readonly logprobs: number | null
}

const isEmptyList = (value: unknown) => Array.isArray(value) && value.length === 0

const textPart: Reader<string> = (value, path) => {
  const type = typeof value === 'object' && value !== null && 'type' in value ? value.type : undefined
  if (typeof type === 'string' && type !== 'text')
    throw invalidField(
      `${path}.type`,
      `${path}.type: this model reads text, not ${type.slice(0, 40)}`,
      'unsupported_parameter',
    )
  return object({ type: oneOf('text'), text: text() })(value, path).text
}

/** A text, or parts that are texts: they are joined as they are. */
const content: Reader<string> = (value, path) => {
  if (Array.isArray(value)) return listOf(textPart, 0, 10_000)(value, path).join('')
  return text()(value, path)
}

const role: Reader<string> = (value, path) => {
  if (value === 'tool' || value === 'function')
    throw invalidField(path, `${path}: tools are not supported by this server`, 'unsupported_parameter')
  const known = oneOf('system', 'developer', 'user', 'assistant')(value, path)
  return known === 'developer' ? 'system' : known
}

const messageFields = object({
  role,
  content: (value: unknown, path: string) => (value === null ? '' : content(value, path)),
  name: optional(text(), null),
  // an answer of this API may be handed back as it came
  refusal: ignored,
  annotations: ignored,
  audio: refused(),
  tool_calls: refused(isEmptyList),
  function_call: refused(),
})

const message: Reader<ChatMessage> = (value, path) => {
  const fields = messageFields(value, path)
  return { role: fields.role, content: fields.content }
}

/** What the model's template is given besides the conversation, as vLLM and llama.cpp take it: `{"enable_thinking": false}`. */
const templateArguments: Reader<Readonly<Record<string, unknown>>> = (value, path) => {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw wrongType(path, 'an object', value)
  for (const name of Object.keys(value))
    if (setElsewhere.includes(name))
      throw invalidField(`${path}.${name}`, `${path}.${name} cannot be set by a request`, 'unsupported_parameter')
  return value as Record<string, unknown>
}
const setElsewhere = ['messages', 'add_generation_prompt', 'tools', 'documents', 'bos_token', 'eos_token']

const chatFields = object({
  ...samplingFields,
  messages: listOf(message, 1, 10_000),
  max_completion_tokens: optional(integer(1, Number.MAX_SAFE_INTEGER), null),
  logprobs: optional(flag, false),
  top_logprobs: optional(integer(0, 20), null),
  response_format: refused((value) => isTextFormat(value)),
  modalities: refused((value) => Array.isArray(value) && value.length === 1 && value[0] === 'text'),
  audio: refused(),
  tools: refused(isEmptyList),
  tool_choice: refused((value) => value === 'none' || value === 'auto'),
  functions: refused(isEmptyList),
  function_call: refused((value) => value === 'none' || value === 'auto'),
  prediction: refused(),
  web_search_options: refused(),
  reasoning_effort: refused((value) => value === 'none'),
  parallel_tool_calls: ignored,
  metadata: ignored,
  moderation: refused(),
  store: refused((value) => value === false),
  service_tier: ignored,
  safety_identifier: ignored,
  prompt_cache_key: ignored,
  prompt_cache_options: ignored,
  prompt_cache_retention: ignored,
  chat_template_kwargs: optional(templateArguments, {}),
  verbosity: refused((value) => value === 'medium'),
})

function isTextFormat(value: unknown): boolean {
  return typeof value === 'object' && value !== null && 'type' in value && value.type === 'text'
}

/** Throws a 400 with the path of the field. */
export function readChatRequest(body: unknown): ChatRequest {
  const fields = chatFields(body, '')
  if (fields.max_tokens !== null && fields.max_completion_tokens !== null)
    throw invalidField('max_tokens', 'max_tokens and max_completion_tokens are the same: give one of them')
  if (fields.top_logprobs !== null && !fields.logprobs)
    throw invalidField('top_logprobs', 'top_logprobs is only allowed when logprobs is true')
  const [param, value] =
    fields.max_tokens === null
      ? ['max_completion_tokens', fields.max_completion_tokens]
      : ['max_tokens', fields.max_tokens]
  return {
    ...answerOptions(fields),
    model: fields.model,
    messages: fields.messages,
    templateArguments: fields.chat_template_kwargs,
    maxTokens: value === null ? null : { value, param },
    logprobs: fields.logprobs ? (fields.top_logprobs ?? 0) : null,
  }
}

/** 400 for a model that has no form for conversations. */
export function noChatTemplate(model: string): ApiError {
  const message = `the model '${model}' has no chat template; use /v1/completions`
  return new ApiError(400, { message, param: 'model', code: 'unsupported_model' })
}
