import type { Tokenizer } from '../model/tokenizer.ts'
import { checkFields, type FieldsOf, FoveaError } from '../tile/index.ts'
import { drawFacts, factQuestion, factSentence, fillerSentence, type RetrievalFact } from './retrieval-prose.ts'
import { uniformNumbers } from './uniform-numbers.ts'

export interface RetrievalSpec {
  /** tokens of the document, question included, at most; it comes within a sentence of it */
  readonly tokens: number
  /** facts hidden in it (4) */
  readonly codes?: number
  /** decides everything: the same seed gives the same document (0) */
  readonly seed?: number
}

/** A made-up text with facts hidden in it, and a question that asks for one of them. */
export interface RetrievalDocument {
  /** ends with the beginning of the sentence that the answer completes */
  readonly text: string
  readonly answer: string
  readonly facts: readonly RetrievalFact[]
}

/**
 * Filler prose of a small grammar with `codes` sentences "The secret code of the <adjective> <noun> is <five digits>." at random
 * places, and the first words of one of them at the end (needle retrieval as in Kamradt, 2023, with several needles). Throws
 * `argument` when there is no room for the facts.
 */
export function retrievalDocument(tokenizer: Tokenizer, spec: RetrievalSpec): RetrievalDocument {
  checkFields('retrievalDocument', 'spec', spec, fields)
  const { tokens, codes = 4, seed = 0 } = spec
  const random = uniformNumbers(seed)
  const facts = drawFacts(random, codes)
  const asked = facts[Math.floor(random() * facts.length)]
  if (!asked) throw new FoveaError('argument', 'retrievalDocument', `codes must be at least 1, got ${codes}`)
  const sentences = facts.map(factSentence)
  const question = factQuestion(asked)
  const length = (text: string) => tokenizer.encode(text, { special: false }).length
  // the begin token, and a token where two sentences meet
  let left = tokens - 1 - length(` ${question}`) - sentences.reduce((sum, sentence) => sum + length(` ${sentence}`), 0)
  if (left < 0)
    throw new FoveaError(
      'argument',
      'retrievalDocument',
      `${codes} facts and a question do not fit into ${tokens} tokens`,
    )
  const filler: string[] = []
  for (;;) {
    const sentence = fillerSentence(random)
    left -= length(` ${sentence}`)
    if (left < 0) break
    filler.push(sentence)
  }
  for (const sentence of sentences) filler.splice(Math.floor(random() * (filler.length + 1)), 0, sentence)
  return { text: [...filler, question].join(' '), answer: asked.code, facts }
}

const fields: FieldsOf<RetrievalSpec> = { tokens: true, codes: true, seed: true }
