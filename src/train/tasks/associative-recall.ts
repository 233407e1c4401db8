import { checkFields, type FieldsOf, FoveaError } from '../../tile/index.ts'
import { type RandomNumbers, randomNumbers } from '../data/random-numbers.ts'
import type { Rows } from '../data/rows.ts'

export interface AssociativeRecallOptions {
  /** token 0 is blank; the lower half are keys, the upper half values (256) */
  readonly vocabSize?: number
  /** tokens of a row, even (64) */
  readonly length?: number
  /** key–value pairs, each asked for once (4) */
  readonly pairs?: number
  /** a: a query stands n places behind the pairs with probability ∝ n^(a − 1); 1 is uniform (0.01) */
  readonly powerLaw?: number
  /** random tokens instead of blanks between the queries (false) */
  readonly noise?: boolean
  readonly seed?: number
}

/**
 * Multi-query associative recall as Zoology defines it (Arora et al., 2023, arXiv 2312.04927, appendix A and its code for
 * figure 2): `pairs` different keys with their values, then each key once more at an even distance from the pairs, drawn
 * without replacement from a power law. The target at such a place is the key's value; nothing else is learnt.
 *
 *     inputs   k1 v1 k2 v2  0  0 k2  0  0  0 k1  0
 *     targets   ·  ·  ·  ·  ·  · v2  ·  ·  · v1  ·
 *
 * Throws `argument` naming what does not fit together.
 */
export function associativeRecall(options: AssociativeRecallOptions = {}): Rows {
  checkFields('associativeRecall', 'options', options, fields)
  const { vocabSize = 256, length = 64, pairs = 4, powerLaw = 0.01, noise = false, seed = 0 } = options
  const fail = (message: string) => new FoveaError('argument', 'associativeRecall', message)
  if (!Number.isSafeInteger(pairs) || pairs < 1) throw fail(`pairs must be a whole number of at least 1, got ${pairs}`)
  if (!Number.isSafeInteger(length) || length % 2 !== 0 || length < 4 * pairs)
    throw fail(`${pairs} pairs and their queries need an even length of at least ${4 * pairs}, got ${length}`)
  if (!Number.isSafeInteger(vocabSize) || vocabSize <= length || vocabSize < 2 * pairs + 2)
    throw fail(`vocabSize must be above length ${length} and at least ${2 * pairs + 2}, got ${vocabSize}`)
  if (!(powerLaw > 0)) throw fail(`powerLaw must be above 0, got ${powerLaw}`)
  const half = Math.floor(vocabSize / 2)
  const context = 2 * pairs
  const weights = Array.from({ length: (length - context) / 2 }, (_, place) => (place + 1) ** (powerLaw - 1))

  return {
    length,
    hasDocuments: false,
    fill(index, { inputs, targets }) {
      const random = randomNumbers(seed, index)
      const keys = drawDifferent(random, pairs, half - 1)
      const values = drawDifferent(random, pairs, vocabSize - half)
      const places = drawWeighted(random, pairs, weights)
      for (let pair = 0; pair < pairs; pair++) {
        const key = 1 + (keys[pair] as number)
        const value = half + (values[pair] as number)
        inputs[2 * pair] = key
        inputs[2 * pair + 1] = value
        const at = context + 2 * (places[pair] as number)
        inputs[at] = key
        targets[at] = value
      }
      if (!noise) return
      for (let at = context; at < length; at++) if (inputs[at] === 0) inputs[at] = random.below(vocabSize)
    },
  }
}

/** `count` different whole numbers below `limit`. */
function drawDifferent(random: RandomNumbers, count: number, limit: number): readonly number[] {
  const drawn = new Set<number>()
  while (drawn.size < count) drawn.add(random.below(limit))
  return [...drawn]
}

/** `count` different indices, one after another in proportion to the weights of those left. */
function drawWeighted(random: RandomNumbers, count: number, weights: readonly number[]): readonly number[] {
  const left = [...weights]
  return Array.from({ length: count }, () => {
    let rest = random() * left.reduce((sum, weight) => sum + weight, 0)
    let chosen = left.findIndex((weight) => {
      rest -= weight
      return weight > 0 && rest < 0
    })
    // rounding may leave a rest behind the last
    if (chosen < 0) chosen = left.findLastIndex((weight) => weight > 0)
    left[chosen] = 0
    return chosen
  })
}

const fields: FieldsOf<AssociativeRecallOptions> = {
  vocabSize: true,
  length: true,
  pairs: true,
  powerLaw: true,
  noise: true,
  seed: true,
}
