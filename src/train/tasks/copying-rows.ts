import { checkFields, type FieldsOf, FoveaError } from '../../tile/index.ts'
import { randomNumbers } from '../data/random-numbers.ts'
import type { Rows } from '../data/rows.ts'

export interface CopyingOptions {
  /** token 0 is blank, the last one separates (64) */
  readonly vocabSize?: number
  /** tokens of a row (64) */
  readonly length?: number
  /** tokens to copy (16) */
  readonly items?: number
  /** the tokens lie at random places among the blanks, rather than together at the beginning (false) */
  readonly selective?: boolean
  readonly seed?: number
}

/**
 * Copying (Arjovsky et al., 2015, arXiv 1511.06464, section 4.1) and selective copying (Gu and Dao, 2023, arXiv 2312.00752,
 * section 3.1): `items` random tokens and blanks, a separator, then the tokens again, each learnt from those before it.
 *
 *     inputs   a b c 0 0 0 | a b        selective   0 a 0 b c 0 | a b
 *     targets  · · · · · · a b c                    · · · · · · a b c
 *
 * Throws `argument`.
 */
export function copying(options: CopyingOptions = {}): Rows {
  checkFields('copying', 'options', options, fields)
  const { vocabSize = 64, length = 64, items = 16, selective = false, seed = 0 } = options
  if (!Number.isSafeInteger(vocabSize) || vocabSize < 3)
    throw new FoveaError('argument', 'copying', `vocabSize must be a whole number of at least 3, got ${vocabSize}`)
  if (!Number.isSafeInteger(items) || items < 1 || !Number.isSafeInteger(length) || length < 2 * items)
    throw new FoveaError('argument', 'copying', `${items} items and their copies do not fit into ${length} tokens`)
  const separator = vocabSize - 1
  const region = length - items
  return {
    length,
    hasDocuments: false,
    fill(index, { inputs, targets }) {
      const random = randomNumbers(seed, index)
      let left = items
      for (let at = 0; left > 0; at++) {
        // each choice of places is as likely as another
        if (selective && random() * (region - at) >= left) continue
        const token = 1 + random.below(separator - 1)
        const copy = region + items - left
        inputs[at] = token
        targets[copy] = token
        if (copy + 1 < length) inputs[copy + 1] = token
        left--
      }
      inputs[region] = separator
    },
  }
}

const fields: FieldsOf<CopyingOptions> = { vocabSize: true, length: true, items: true, selective: true, seed: true }
