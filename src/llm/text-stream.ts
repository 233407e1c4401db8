import type { Tokenizer } from '../model/tokenizer.ts'

/** a character of UTF-8 has at most four bytes, of which three may have come before the answer */
const longestTail = 4

/**
 * Tokens to text, one at a time: their bytes are decoded as they come, and those of a character that is not complete are
 * held back. What `prompt` and the tokens decode to begins with what the prompt decodes to, and goes on with what is given
 * here: only the first token of all, special ones left out, is without the space that encoding puts before a text.
 */
export class TextStream {
  readonly #tokenizer: Tokenizer
  // a byte order mark is a character like any other
  readonly #decoder = new TextDecoder('utf-8', { ignoreBOM: true })
  #first: boolean

  constructor(tokenizer: Tokenizer, prompt: readonly number[]) {
    this.#tokenizer = tokenizer
    this.#first = true
    // of the prompt only its end has a part in what follows: a character of which a piece is there
    for (const token of endOf(tokenizer, prompt)) this.push(token)
  }

  /** The text that this token completes, '' while a character is unfinished. */
  push(token: number): string {
    if (this.#tokenizer.isSpecial(token)) return ''
    const { bytes } = this.#tokenizer.piece(token, { first: this.#first })
    // a row of the embedding without a token begins no text
    this.#first &&= bytes.length === 0 && this.#tokenizer.piece(token).bytes.length === 0
    return this.#decoder.decode(bytes, { stream: true })
  }

  /** What is still held back, at the end. */
  flush(): string {
    return this.#decoder.decode()
  }
}

/** The last tokens that are shown, as many as a character has bytes. */
function endOf(tokenizer: Tokenizer, prompt: readonly number[]): readonly number[] {
  const found: number[] = []
  for (let at = prompt.length - 1; at >= 0 && found.length < longestTail; at--) {
    const token = prompt[at] as number
    if (!tokenizer.isSpecial(token)) found.push(token)
  }
  return found.reverse()
}
