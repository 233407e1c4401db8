import { Tokenizer as LibraryTokenizer } from '@huggingface/tokenizers'
import { FoveaError } from '../../tile/index.ts'
import { isRecord } from '../architectures/config-fields.ts'
import type { ChatTemplate } from '../chat-template.ts'
import type { Tokenizer } from '../tokenizer.ts'
import { checkDefinition } from './check-definition.ts'
import { tokenBytes } from './token-bytes.ts'

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
}

/** A definition as the library takes it, with the parts that it wants to find. */
export type TokenizerDefinition = Readonly<Record<string, unknown>>

/**
 * The tokenizer of a tokenizer.json, encoded by @huggingface/tokenizers. Decoding joins the bytes of tokens, so that a
 * text decoded in pieces is the text decoded at once; spaces before punctuation stay (`clean_up_tokenization_spaces` is
 * not followed).
 *
 * A model that has a begin token other than its end token, and neither a setting nor a template about it, is given the
 * begin token. Throws `format` naming the file for a definition that the library does not understand.
 */
export function jsonTokenizer(definition: TokenizerDefinition, settings: TokenizerSettings): Tokenizer {
  const { file, bosToken, eosTokens } = settings
  const library = createLibrary(file, definition)
  const vocabulary = library.model?.vocab ?? []
  const special = new Set<number>()
  for (const [id, token] of library.get_added_tokens_decoder()) if (token.special) special.add(id)
  const bytesOf = tokenBytes(definition.decoder)
  const known: (Uint8Array | undefined)[] = []
  const addBos = settings.addBos ?? (hasTemplate(definition.post_processor) ? null : isBeginOnly(bosToken, eosTokens))
  const encoder = new TextEncoder()

  const bytes = (token: number): Uint8Array => {
    if (!Number.isSafeInteger(token) || token < 0)
      throw new FoveaError('argument', 'decode', `${file}: ${token} is no token`)
    // an embedding may have more rows than there are tokens; they stand for nothing
    const text = vocabulary[token] ?? ''
    known[token] ??= bytesOf ? bytesOf.of(text) : encoder.encode(text)
    return known[token]
  }

  return {
    vocabSize: vocabulary.length,
    bosToken,
    eosTokens,
    definition,
    encode(text, options) {
      const wanted = options?.special ?? true
      const ids: (number | undefined)[] = library.encode(text, { add_special_tokens: wanted }).ids
      // a vocabulary without an unknown token has nothing for letters that it does not have
      const tokens = ids.filter((id) => id !== undefined)
      return wanted ? withEnds(tokens, addBos, settings) : tokens
    },
    decode(tokens, options) {
      const skip = options?.skipSpecial ?? true
      const kept = skip ? tokens.filter((token) => !special.has(token)) : tokens
      if (!bytesOf) return kept.length === 0 ? '' : library.decode([...kept], { clean_up_tokenization_spaces: false })
      const text = textOf(joined(kept.map(bytes)))
      return bytesOf.stripsFirstSpace && text.startsWith(' ') ? text.slice(1) : text
    },
    piece(token) {
      const own = bytes(token)
      return { text: textOf(own), bytes: own }
    },
    isSpecial: (token) => special.has(token),
    hasChatTemplate: settings.chatTemplate !== null,
    ...(settings.chatTemplate && { chatTemplate: settings.chatTemplate.source }),
    applyChatTemplate(messages, options) {
      if (!settings.chatTemplate)
        throw new FoveaError('argument', 'applyChatTemplate', `${file}: the model has no chat template`)
      const textOfToken = (token: number | null | undefined) => vocabulary[token ?? -1] ?? null
      return settings.chatTemplate(messages, {
        bosToken: textOfToken(bosToken),
        eosToken: textOfToken(eosTokens[0]),
        addGenerationPrompt: options?.addGenerationPrompt ?? true,
      })
    },
  }
}

function createLibrary(file: string, definition: TokenizerDefinition): LibraryTokenizer {
  checkDefinition(file, definition)
  const parts = { normalizer: null, pre_tokenizer: null, post_processor: null, decoder: null, added_tokens: [] }
  try {
    return new LibraryTokenizer({ ...parts, ...definition }, {})
  } catch (cause) {
    throw new FoveaError('format', 'openCheckpoint', `${file}: no tokenizer: ${(cause as Error).message}`, { cause })
  }
}

function withEnds(tokens: number[], addBos: boolean | null, { bosToken, eosTokens, addEos }: TokenizerSettings) {
  if (bosToken !== null && addBos === true && tokens[0] !== bosToken) tokens.unshift(bosToken)
  if (addBos === false && tokens[0] === bosToken) tokens.shift()
  const [eosToken] = eosTokens
  if (eosToken !== undefined && addEos === true && tokens.at(-1) !== eosToken) tokens.push(eosToken)
  return tokens
}

/** Does the post-processor say itself which tokens stand around a text? */
function hasTemplate(processor: unknown): boolean {
  if (!isRecord(processor)) return false
  if (Array.isArray(processor.processors)) return processor.processors.some(hasTemplate)
  return processor.type !== 'ByteLevel'
}

function isBeginOnly(bosToken: number | null, eosTokens: readonly number[]): boolean {
  return bosToken !== null && !eosTokens.includes(bosToken)
}

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
