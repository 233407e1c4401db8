import { retrievalDocument } from '../../src/llm/retrieval-document.ts'
import type { Tokenizer } from '../../src/model/tokenizer.ts'
import type { Prompt } from './model-peer.ts'

/** Prompts that are the beginnings of one text. */
export interface Prompts {
  /** the longest one's tokens, and some more */
  readonly document: readonly number[]
  /** as many tokens as were asked for, in the order given */
  readonly prompts: readonly Prompt[]
}

/** most texts that are tried */
const tries = 100

/**
 * A made-up text whose beginnings of these lengths are, as texts, cut into the same tokens again: systems that take text and
 * systems that take tokens then read the same.
 */
export function makePrompts(tokenizer: Tokenizer, lengths: readonly number[]): Prompts {
  const longest = Math.max(...lengths)
  for (let seed = 1; seed <= tries; seed++) {
    const { text } = retrievalDocument(tokenizer, { tokens: longest + 256, seed })
    const document = tokenizer.encode(text)
    const prompts = lengths.map((length) => promptOf(tokenizer, document.slice(0, length)))
    if (prompts.every((prompt) => prompt !== null)) return { document, prompts }
  }
  throw new Error(`makePrompts: none of ${tries} texts can be cut after ${lengths.join(' and ')} tokens`)
}

/** The text of tokens, unless its tokens are others. */
export function promptOf(tokenizer: Tokenizer, tokens: readonly number[]): Prompt | null {
  const text = tokenizer.decode(tokens)
  return tokenizer.encode(text).join() === tokens.join() ? { text, tokens } : null
}
