import type { Tokenizer } from '../model/tokenizer.ts'

/** a character of UTF-8 has at most four bytes; a longer tail of U+FFFD is no character to come */
const longestCharacter = 4

/**
 * Tokens to text, one at a time: a token is decoded together with those just before it, because spaces and characters may
 * span tokens, and what may still be completed by the next token is held back.
 */
export class TextStream {
  readonly #tokenizer: Tokenizer
  readonly #tokens: number[] = []
  /** the tokens before `shown` have been given out; those from `context` on are decoded again */
  #context = 0
  #shown = 0

  constructor(tokenizer: Tokenizer) {
    this.#tokenizer = tokenizer
  }

  /** The text that this token completes, '' while a character is unfinished. */
  push(token: number): string {
    this.#tokens.push(token)
    const text = this.#pending()
    const unfinished = text.endsWith('�') && this.#tokens.length - this.#shown < longestCharacter
    return unfinished ? '' : this.#take(text)
  }

  /** What is still held back, at the end. */
  flush(): string {
    return this.#tokens.length === this.#shown ? '' : this.#take(this.#pending())
  }

  #pending(): string {
    const before = this.#tokenizer.decode(this.#tokens.slice(this.#context, this.#shown))
    return this.#tokenizer.decode(this.#tokens.slice(this.#context)).slice(before.length)
  }

  #take(text: string): string {
    this.#context = this.#shown
    this.#shown = this.#tokens.length
    return text
  }
}
