import { checkFields, type FieldsOf, FoveaError } from '../../tile/index.ts'
import type { ChatTemplate } from '../chat-template.ts'
import type { ChatMessage, ChatTemplateOptions, EncodeChatOptions, EncodeOptions, Tokenizer } from '../tokenizer.ts'
import { checkDefinition } from './check-definition.ts'
import { atOnce, inSlices } from './in-slices.ts'
import { type TemplatePart, type TextTemplates, textTemplates, tokensOf } from './text-templates.ts'
import { tokenBytes } from './token-bytes.ts'
import { tokenEncoder } from './token-encoder.ts'

/** What a model says of its tokenizer besides the definition. */
export interface TokenizerSettings {
  /** named in errors */
  readonly file: string
  readonly bosToken: number | null
  readonly eosTokens: readonly number[]
  /** whether encoding begins with the begin token and ends with the end token; null where the definition says it */
  readonly addBos: boolean | null
  readonly addEos: boolean | null
  readonly chatTemplate: ChatTemplate | null
  /** tokens that a template may name by the fields of the model's files: `pad_token`, `image_token` and the like */
  readonly namedTokens?: Readonly<Record<string, string>>
  /** the texts of all ids, where two have one text; else as the definition says */
  readonly texts?: readonly string[]
}

/** An object of tokenizer.json. */
export type TokenizerDefinition = Readonly<Record<string, unknown>>

const decodeFields: FieldsOf<NonNullable<Parameters<Tokenizer['decode']>[1]>> = { skipSpecial: true }
const chatFields: FieldsOf<EncodeChatOptions> = {
  addGenerationPrompt: true,
  templateArguments: true,
  specialTokens: true,
}
const templateFields: FieldsOf<ChatTemplateOptions> = { addGenerationPrompt: true, templateArguments: true }
const encodeFields: FieldsOf<EncodeOptions> = { special: true, specialTokens: true }

/**
 * The tokenizer of a tokenizer.json: what the Rust library of Hugging Face's tokenizers gives (see `tokenEncoder`).
 * Decoding joins the bytes of tokens, so that a text decoded in pieces is the text decoded at once; spaces before
 * punctuation stay (`clean_up_tokenization_spaces` is not followed, as in transformers for BPE).
 *
 * Around a text stands what the post-processor says, the begin and end token instead where the settings say so, and
 * nothing else; what a text spells out itself is kept besides, as transformers and llama.cpp do. Throws `format` and
 * `unsupported` naming file and part.
 */
export function jsonTokenizer(definition: TokenizerDefinition, settings: TokenizerSettings): Tokenizer {
  const { file, bosToken, eosTokens, chatTemplate } = settings
  checkDefinition(file, definition)
  const { encoder, bytesOf, templates } = inFile(file, () => {
    const encoder = tokenEncoder(definition)
    const added = new Map(encoder.added.map(({ content, id }) => [content, id]))
    const idOf = (token: string) => added.get(token) ?? encoder.vocabulary.get(token)
    const templates = withSettings(textTemplates(definition.post_processor, idOf), settings)
    return { encoder, bytesOf: tokenBytes(definition.decoder), templates }
  })
  const [before, after] = endsOf(templates.single)
  const special = new Set(encoder.added.filter((token) => token.special).map(({ id }) => id))
  const texts: (string | undefined)[] = []
  for (const [token, id] of encoder.vocabulary) texts[id] = token
  for (const { content, id } of encoder.added) texts[id] = content
  for (const [id, text] of (settings.texts ?? []).entries()) texts[id] = text
  const known: (Uint8Array | undefined)[] = []

  const bytes = (token: number, first: boolean): Uint8Array => {
    if (!Number.isSafeInteger(token) || token < 0)
      throw new FoveaError('argument', 'decode', `${file}: ${token} is no token`)
    const text = texts[token]
    // an embedding may have more rows than there are tokens; they stand for nothing
    if (text === undefined) return nothing
    if (first) return bytesOf(text, true)
    known[token] ??= bytesOf(text, false)
    return known[token]
  }
  const steps = function* (text: string, options: EncodeOptions) {
    checkFields('encode', 'options', options, encodeFields)
    const { special: around = true, specialTokens = 'match' } = options
    if (typeof text !== 'string')
      throw new FoveaError('argument', 'encode', `text must be a string, got ${typeof text}`)
    checkSpecialTokens('encode', specialTokens)
    const tokens = yield* encoder.steps(text, specialTokens === 'text')
    if (!around) return tokens
    tokens.push(...after)
    return before.length > 0 ? [...before, ...tokens] : tokens
  }

  const rendered = (where: string, messages: readonly ChatMessage[], options: ChatTemplateOptions) => {
    if (!chatTemplate) throw new FoveaError('argument', where, `${file}: the model has no chat template`)
    const textOfToken = (token: number | null | undefined) => texts[token ?? -1] ?? null
    return chatTemplate.render(messages, {
      bosToken: textOfToken(bosToken),
      eosToken: textOfToken(eosTokens[0]),
      addGenerationPrompt: options.addGenerationPrompt ?? true,
      ...(settings.namedTokens && { namedTokens: settings.namedTokens }),
      ...(options.templateArguments && { arguments: options.templateArguments }),
    })
  }

  return {
    vocabSize: texts.length,
    bosToken,
    eosTokens,
    definition,
    templates,
    encode: (text, options = {}) => atOnce(steps(text, options)),
    encodeAsync: async (text, options = {}) => inSlices(steps(text, options)),
    decode(tokens, options) {
      if (options) checkFields('decode', 'options', options, decodeFields)
      const skip = options?.skipSpecial ?? true
      let first = true
      const parts = tokens.map((token) => {
        if (skip && special.has(token)) return nothing
        const own = bytes(token, first)
        if (texts[token] !== undefined) first = false
        return own
      })
      return textOf(joined(parts))
    },
    piece(token, options) {
      const own = bytes(token, options?.first ?? false)
      return { text: textOf(own), bytes: own }
    },
    isSpecial: (token) => special.has(token),
    hasChatTemplate: chatTemplate !== null,
    ...(chatTemplate && { chatTemplate: chatTemplate.source }),
    applyChatTemplate(messages, options = {}) {
      checkFields('applyChatTemplate', 'options', options, templateFields)
      return rendered('applyChatTemplate', messages, options).text
    },
    async encodeChat(messages, options = {}) {
      checkFields('encodeChat', 'options', options, chatFields)
      const { specialTokens = 'text' } = options
      checkSpecialTokens('encodeChat', specialTokens)
      const { text, given } = rendered('encodeChat', messages, options)
      return inSlices(encoder.steps(text, specialTokens === 'text' && given))
    },
  }
}

function checkSpecialTokens(where: string, value: unknown): void {
  if (value !== 'match' && value !== 'text')
    throw new FoveaError('argument', where, `specialTokens must be match or text, got ${value}`)
}

/** Errors of the definition's parts name the file. */
function inFile<T>(file: string, read: () => T): T {
  try {
    return read()
  } catch (cause) {
    const code = cause instanceof FoveaError ? cause.code : 'format'
    throw new FoveaError(code, 'openCheckpoint', `${file}: no tokenizer: ${(cause as Error).message}`, { cause })
  }
}

/** A setting says whether the begin or end token is there, whatever else the post-processor puts around a text. */
function withSettings({ single, pair }: TextTemplates, settings: TokenizerSettings): TextTemplates {
  const { bosToken, addBos, addEos } = settings
  const eosToken = settings.eosTokens[0] ?? null
  const placed = (parts: readonly TemplatePart[], token: number | null, wanted: boolean | null) => {
    if (token === null || wanted === null) return parts
    const at = parts.findIndex((part) => 'text' in part)
    const end = at < 0 ? parts.length : at
    const own = parts.slice(0, end).flatMap((part) => {
      const tokens = tokensOf(part).filter((each) => each !== token)
      return tokens.length > 0 ? [{ ...part, tokens }] : []
    })
    const type = parts[end]?.type ?? 0
    return [...(wanted ? [{ tokens: [token], type }] : []), ...own, ...parts.slice(end)]
  }
  const of = (parts: readonly TemplatePart[]) =>
    placed(placed(parts, bosToken, addBos).toReversed(), eosToken, addEos).toReversed()
  return { single: of(single), pair: pair && of(pair) }
}

/** The tokens before a text and behind it. */
function endsOf(single: readonly TemplatePart[]): [before: readonly number[], after: readonly number[]] {
  const at = single.findIndex((part) => 'text' in part)
  const end = at < 0 ? single.length : at
  return [single.slice(0, end).flatMap(tokensOf), single.slice(end).flatMap(tokensOf)]
}

const nothing = new Uint8Array()

function joined(parts: readonly Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(parts.reduce((sum, part) => sum + part.byteLength, 0))
  let at = 0
  for (const part of parts) {
    bytes.set(part, at)
    at += part.byteLength
  }
  return bytes
}

/** A byte order mark is a character like any other. */
function textOf(bytes: Uint8Array): string {
  return new TextDecoder('utf-8', { ignoreBOM: true }).decode(bytes)
}
