import { checkFields, type FieldsOf, FoveaError } from '../../tile/index.ts'
import { randomNumbers } from '../data/random-numbers.ts'
import type { Rows } from '../data/rows.ts'

export interface InductionOptions {
  /** the last token is the one that is asked for (64) */
  readonly vocabSize?: number
  /** tokens of a row (64) */
  readonly length?: number
  readonly seed?: number
}

/**
 * Induction (Fu et al., 2022, arXiv 2212.14052, section 3.1; after Olsson et al., arXiv 2209.11895): random tokens, among them
 * once the special token `vocabSize − 1` with some token behind it, and the special token again at the end. The target there
 * is the token that stood behind it; nothing else is learnt. Throws `argument`.
 */
export function induction(options: InductionOptions = {}): Rows {
  checkFields('induction', 'options', options, fields)
  const { vocabSize = 64, length = 64, seed = 0 } = options
  if (!Number.isSafeInteger(vocabSize) || vocabSize < 3)
    throw new FoveaError('argument', 'induction', `vocabSize must be a whole number of at least 3, got ${vocabSize}`)
  if (!Number.isSafeInteger(length) || length < 3)
    throw new FoveaError('argument', 'induction', `length must be a whole number of at least 3, got ${length}`)
  const special = vocabSize - 1
  return {
    length,
    hasDocuments: false,
    fill(index, { inputs, targets }) {
      const random = randomNumbers(seed, index)
      for (let at = 0; at < length; at++) inputs[at] = random.below(special)
      const place = random.below(length - 2)
      inputs[place] = special
      inputs[length - 1] = special
      targets[length - 1] = inputs[place + 1] as number
    },
  }
}

const fields: FieldsOf<InductionOptions> = { vocabSize: true, length: true, seed: true }
