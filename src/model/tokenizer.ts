/** One message of a conversation. */
export interface ChatMessage {
  readonly role: string
  readonly content: string
}

/** Text to tokens and back. */
export interface Tokenizer {
  readonly vocabSize: number
  readonly bosToken: number | null
  readonly eosTokens: readonly number[]
  /** the tokenizer as an object of tokenizer.json, for export; absent where there is none */
  readonly definition?: unknown
  /** `special` (true): adds the tokens that the model expects around a text, such as the begin token */
  encode(text: string, options?: { readonly special?: boolean }): number[]
  /** `skipSpecial` (true) leaves special tokens out; bytes that make no character yet become U+FFFD */
  decode(tokens: readonly number[], options?: { readonly skipSpecial?: boolean }): string
  /** the text of one token for log-probabilities, with the bytes that it stands for */
  piece(token: number): { readonly text: string; readonly bytes: Uint8Array }
  isSpecial(token: number): boolean
  /** Can `applyChatTemplate` be called? */
  readonly hasChatTemplate: boolean
  /** the chat template's text (Jinja), for export; absent where there is none */
  readonly chatTemplate?: string
  /** The prompt of a conversation, special tokens written out; encode it with `special: false`. Throws `argument` without a template. */
  applyChatTemplate(messages: readonly ChatMessage[], options?: { readonly addGenerationPrompt?: boolean }): string
}
