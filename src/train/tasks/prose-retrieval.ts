import { retrievalDocument } from '../../llm/retrieval-document.ts'
import {
  drawFacts,
  factQuestion,
  fillerSentence,
  mostFacts,
  type RetrievalFact,
  type ThingWords,
} from '../../llm/retrieval-prose.ts'
import type { Tokenizer } from '../../model/tokenizer.ts'
import { checkChoice, checkFields, type FieldsOf, FoveaError } from '../../tile/index.ts'
import { documentEncoder } from '../data/encode-documents.ts'
import { type RandomNumbers, randomNumbers } from '../data/random-numbers.ts'
import type { Row, Rows } from '../data/rows.ts'
import type { TokenStore } from '../data/token-store.ts'

/** a number, or the least and the most of what is drawn evenly for each document */
export type CountRange = number | readonly [number, number]

export interface ProseRetrievalOptions {
  readonly tokenizer: Tokenizer
  /** tokens of a row */
  readonly length: number
  /**
   * `single` is what `fovea evaluate --retrieval` asks: facts in prose, one question at the end. `dense` asks many questions,
   * at random places behind their facts ('single')
   */
  readonly form?: 'single' | 'dense'
  /** facts of a document, 400 at most (4) */
  readonly codes?: CountRange
  /** of a dense document (as many as facts) */
  readonly questions?: CountRange
  /** tokens of a document; a row is filled with as many as it holds (`length`) */
  readonly documentTokens?: CountRange
  /** the codes that answer questions; or every token but the codes of facts, which nothing foretells ('answers') */
  readonly learn?: 'answers' | 'all'
  /** of half of the dense documents: stretches of these tokens stand between the facts in place of made-up sentences */
  readonly texts?: TokenStore
  readonly seed?: number
}

/** tokens that `evaluateRetrieval` keeps free for the answer */
const answerTokens = 8

/** What is written of a document, one after another. */
interface Part {
  readonly text: string
  /** instead of the text */
  readonly tokens?: Int32Array
  /** a code: the answer to the question before it, or what a fact states and nothing foretells */
  readonly code?: 'answer' | 'stated'
}

/** things that evaluations do not ask for: what is learnt of one is to hold for any */
const otherWords: ThingWords = {
  adjectives: words(
    'ancient bitter black clever dusty eager faded gentle golden green heavy hidden idle iron jolly little lost merry noble odd old pale royal sleepy stone tiny vast white wooden young',
  ),
  nouns: words(
    'apple basket book castle coat dagger eagle forest glove hammer horse house inn jewel kettle ladder lamp letter mountain needle ocean pillow queen ring ship table uncle valley wagon yard',
  ),
}

/**
 * Key–value retrieval in prose for training: made-up documents in which "The secret code of the <thing> is <five digits>."
 * occurs among other sentences. Each begins with the begin token and follows from the seed and its place in the list; seeds
 * of single documents lie above those that evaluations use. What is left of a row is filled with the end token and not
 * learnt. Throws `argument` for counts that are out of range or do not fit.
 */
export function proseRetrieval(options: ProseRetrievalOptions): Rows {
  checkFields('proseRetrieval', 'options', options, fields)
  const { length, form = 'single', learn = 'answers', seed = 0 } = options
  checkChoice('proseRetrieval', 'form', form, ['single', 'dense'])
  checkChoice('proseRetrieval', 'learn', learn, ['answers', 'all'])
  const codes = checkedRange('codes', options.codes ?? 4, mostFacts)
  const questions = options.questions === undefined ? null : checkedRange('questions', options.questions, 2 ** 20)
  const sizes = checkedRange('documentTokens', options.documentTokens ?? length, length)
  const encode = documentEncoder(options.tokenizer)
  // retrievalDocument measures sentences, which the encoder does faster
  const tokenizer = { ...options.tokenizer, encode: (text: string) => encode(text) }
  const { bosToken, eosTokens } = options.tokenizer
  const padding = eosTokens[0] ?? bosToken ?? 0

  const single = (random: RandomNumbers, tokens: number): readonly Part[] => {
    const spec = { tokens: tokens - answerTokens, codes: draw(random, codes), seed: 2 ** 31 + random.below(2 ** 31) }
    const { text, answer } = retrievalDocument(tokenizer, spec)
    return [{ text }, { text: ` ${answer}`, code: 'answer' }, { text: '.' }]
  }

  const dense = (random: RandomNumbers, tokens: number): readonly Part[] => {
    const facts = drawFacts(random, draw(random, codes), random.below(2) ? otherWords : undefined)
    const stretches = options.texts && random.below(2) ? options.texts : null
    const count = questions ? draw(random, questions) : facts.length
    // the begin token, and what the first sentence may cost without a space before it
    let left = tokens - 2
    const sentences: { readonly place: number; readonly parts: readonly Part[] }[] = []
    const put = (place: number, ...parts: readonly Part[]): boolean => {
      left -= parts.reduce((sum, part) => sum + (part.tokens ?? encode(part.text)).length, 0)
      if (left >= 0) sentences.push({ place, parts })
      return left >= 0
    }
    const places = facts.map(() => random())
    const sentence = (fact: RetrievalFact, code: 'answer' | 'stated'): readonly Part[] => [
      { text: ` ${factQuestion(fact)}` },
      { text: ` ${fact.code}`, code },
      { text: '.' },
    ]
    let fits = facts.every((fact, index) => put(places[index] as number, ...sentence(fact, 'stated')))
    for (let i = 0; i < count && fits; i++) {
      const asked = random.below(facts.length)
      const [fact, told] = [facts[asked] as RetrievalFact, places[asked] as number]
      const place = told + random() * (1 - told)
      fits = put(place, ...sentence(fact, 'answer'))
    }
    if (!fits) throw failed(`${facts.length} facts and ${count} questions do not fit into ${tokens} tokens`)
    const filler = (): Part =>
      stretches ? { text: '', tokens: stretch(random, stretches) } : { text: ` ${fillerSentence(random)}` }
    while (put(random(), filler()));
    const [first, ...rest] = sentences.sort((a, b) => a.place - b.place).flatMap(({ parts }) => parts)
    return first ? [{ text: first.text.trimStart() }, ...rest] : []
  }

  /** Gives the place behind the document. */
  const writeDocument = ({ inputs, targets }: Row, start: number, parts: readonly Part[]): number => {
    let at = start
    if (bosToken !== null) inputs[at++] = bosToken
    for (const { text, tokens, code } of parts)
      for (const token of tokens ?? encode(text)) {
        inputs[at] = token
        const learnt = learn === 'all' ? code !== 'stated' : code === 'answer'
        if (at > start && learnt) targets[at - 1] = token
        at++
      }
    return at
  }

  return {
    length,
    hasDocuments: sizes[0] <= length / 2,
    fill(index: number, row: Row) {
      const random = randomNumbers(seed, index)
      let at = 0
      for (let document = 0; ; document++) {
        const wanted = document === 0 ? draw(random, sizes) : Math.min(draw(random, sizes), length - at)
        if (document > 0 && wanted < sizes[0]) {
          row.documents.fill(document, at)
          break
        }
        const parts = form === 'single' ? single(random, wanted) : dense(random, wanted)
        const end = writeDocument(row, at, parts)
        row.documents.fill(document, at, end)
        at = end
      }
      row.inputs.fill(padding, at)
    },
  }
}

function stretch(random: RandomNumbers, texts: TokenStore): Int32Array {
  const tokens = new Int32Array(Math.min(texts.length, 16 + random.below(48)))
  texts.read(random.below(texts.length - tokens.length + 1), tokens)
  return tokens
}

function words(list: string): readonly string[] {
  return list.split(' ')
}

function draw(random: RandomNumbers, [least, most]: readonly [number, number]): number {
  return least + random.below(most - least + 1)
}

function checkedRange(name: string, range: CountRange, limit: number): readonly [number, number] {
  const [least, most] = typeof range === 'number' ? [range, range] : range
  if (Number.isSafeInteger(least) && Number.isSafeInteger(most) && least >= 1 && least <= most && most <= limit)
    return [least, most]
  throw failed(`${name} must be a whole number, or least and most, from 1 to ${limit}, got ${JSON.stringify(range)}`)
}

function failed(message: string): FoveaError {
  return new FoveaError('argument', 'proseRetrieval', message)
}

const fields: FieldsOf<ProseRetrievalOptions> = {
  tokenizer: true,
  length: true,
  form: true,
  codes: true,
  questions: true,
  documentTokens: true,
  learn: true,
  texts: true,
  seed: true,
}
