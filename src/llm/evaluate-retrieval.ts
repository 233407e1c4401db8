import { checkFields, type FieldsOf, FoveaError } from '../tile/index.ts'
import type { Engine } from './engine.ts'
import { retrievalDocument } from './retrieval-document.ts'

export interface EvaluateRetrievalOptions {
  /** tokens of the documents */
  readonly lengths: readonly number[]
  /** documents of each length (20) */
  readonly cases?: number
  /** facts in each (4) */
  readonly codes?: number
  /** of the first document; the others count on (0) */
  readonly seed?: number
  readonly onProgress?: (done: number, total: number) => void
  readonly signal?: AbortSignal
}

export interface RetrievalAccuracy {
  readonly tokens: number
  readonly cases: number
  readonly correct: number
  readonly accuracy: number
}

/** a code has five digits, which may be as many tokens, and a space before them */
const answerTokens = 8

/**
 * How often a model answers, greedily, with the code that a document states: key–value retrieval in prose, by length. Rejects
 * with what `engine.generate` throws, `argument`, `cancelled`.
 */
export async function evaluateRetrieval(
  engine: Engine,
  options: EvaluateRetrievalOptions,
): Promise<readonly RetrievalAccuracy[]> {
  checkFields('evaluateRetrieval', 'options', options, fields)
  const { lengths, cases = 20, codes = 4, seed = 0, signal } = options
  if (!Number.isSafeInteger(cases) || cases < 1)
    throw new FoveaError('argument', 'evaluateRetrieval', `cases must be a whole number of at least 1, got ${cases}`)
  const results: RetrievalAccuracy[] = []
  let done = 0
  for (const tokens of lengths) {
    let correct = 0
    for (let i = 0; i < cases; i++) {
      const { text, answer } = retrievalDocument(engine.tokenizer, {
        tokens: tokens - answerTokens,
        codes,
        seed: seed + i,
      })
      const generation = engine.generate({
        prompt: text,
        maxTokens: answerTokens,
        sampling: { temperature: 0 },
        ...(signal && { signal }),
      })
      const { text: given, finishReason } = await generation.result
      if (finishReason === 'cancelled')
        throw new FoveaError('cancelled', 'evaluateRetrieval', `after ${done} documents`)
      if (given.trimStart().startsWith(answer)) correct++
      done++
      options.onProgress?.(done, lengths.length * cases)
    }
    results.push({ tokens, cases, correct, accuracy: correct / cases })
  }
  return results
}

const fields: FieldsOf<EvaluateRetrievalOptions> = {
  lengths: true,
  cases: true,
  codes: true,
  seed: true,
  onProgress: true,
  signal: true,
}
