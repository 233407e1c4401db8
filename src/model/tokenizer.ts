import type { TextTemplates } from './tokenizers/text-templates.ts'

/** One message of a conversation, with whatever else the template reads: `name`, `tool_calls`, `reasoning_content` … */
export interface ChatMessage {
  readonly role: string
  readonly content: string
  readonly [field: string]: unknown
}

export interface ChatTemplateOptions {
  /** end with the beginning of an answer (true) */
  readonly addGenerationPrompt?: boolean
  /** what the template may ask for: `enable_thinking`, `tools`, `documents` or any other name */
  readonly templateArguments?: Readonly<Record<string, unknown>>
}

export interface EncodeChatOptions extends ChatTemplateOptions {
  /**
   * what the spellings of special tokens in messages and arguments are: plain text ('text'), or the tokens ('match').
   * Those that the template writes are always the tokens.
   */
  readonly specialTokens?: 'match' | 'text'
}

export interface EncodeOptions {
  /** adds the tokens that the model expects around a text, such as the begin token (true) */
  readonly special?: boolean
  /**
   * what the spellings of special tokens in the text are: the tokens ('match'), or plain text ('text'), for what users
   * wrote, who could end their turn otherwise. Added tokens that are not special are found in both.
   */
  readonly specialTokens?: 'match' | 'text'
}

/** Text to tokens and back. */
export interface Tokenizer {
  readonly vocabSize: number
  readonly bosToken: number | null
  readonly eosTokens: readonly number[]
  /** the tokenizer as an object of tokenizer.json, for export; absent where there is none */
  readonly definition?: unknown
  /** what stands around one text, and around and between two (`fillTemplate`); absent where there is no tokenizer */
  readonly templates?: TextTemplates
  encode(text: string, options?: EncodeOptions): number[]
  /** The same in slices of some milliseconds, between which others run: for long texts. */
  encodeAsync(text: string, options?: EncodeOptions): Promise<number[]>
  /** `skipSpecial` (true) leaves special tokens out; bytes that make no character yet become U+FFFD */
  decode(tokens: readonly number[], options?: { readonly skipSpecial?: boolean }): string
  /**
   * The text of one token for log-probabilities, with the bytes that it stands for. `first` (false): as the first token of a
   * text, where some tokenizers leave out the space that encoding puts there.
   */
  piece(token: number, options?: { readonly first?: boolean }): { readonly text: string; readonly bytes: Uint8Array }
  isSpecial(token: number): boolean
  /** Can `applyChatTemplate` be called? */
  readonly hasChatTemplate: boolean
  /** the chat template's text (Jinja), for export; absent where there is none */
  readonly chatTemplate?: string
  /**
   * The prompt of a conversation, special tokens written out. Encoded with `special: false`, those that a user wrote are
   * tokens as well: `encodeChat` tells them apart. Throws `argument` without a template.
   */
  applyChatTemplate(messages: readonly ChatMessage[], options?: ChatTemplateOptions): string
  /** The tokens of a conversation, made in slices of some milliseconds. Throws `argument` without a template. */
  encodeChat(messages: readonly ChatMessage[], options?: EncodeChatOptions): Promise<number[]>
}
