import { checkFields, type FieldsOf, FoveaError } from '../../tile/index.ts'
import { randomNumbers } from './random-numbers.ts'
import type { Row, Rows } from './rows.ts'
import { shuffledIndex } from './shuffled-index.ts'
import type { TokenStore } from './token-store.ts'

export interface TextRowsOptions {
  readonly tokens: TokenStore
  /** tokens of a row */
  readonly length: number
  /** decides the order (0); null: in the order of the text, cut at the same places in each epoch */
  readonly seed?: number | null
  /** put before rows that begin inside a document, as before every text that a model is asked about later (none) */
  readonly begin?: number | null
}

export interface TextRows extends Rows {
  /** rows after which every token has been seen once, but for a rest of less than a row */
  readonly rowsPerEpoch: number
}

/**
 * Rows cut from texts without waste: documents follow one another, a row may hold the end of one and the beginning of the
 * next (`documents` tells them apart, and no token is asked to foresee another document), and a document longer than the row
 * goes on in another row. In each epoch the cuts lie elsewhere and the order is another shuffle. Row `index` is a function
 * of the seed and the index. Throws `argument` for a text shorter than a row.
 */
export function textRows(options: TextRowsOptions): TextRows {
  checkFields('textRows', 'options', options, fields)
  const { tokens, length, seed = 0, begin = null } = options
  if (!Number.isSafeInteger(length) || length < 1)
    throw new FoveaError('argument', 'textRows', `length must be a whole number of at least 1, got ${length}`)
  // a row needs the token that follows its last
  const spare = tokens.length - 1 - length
  if (spare < 0)
    throw new FoveaError('argument', 'textRows', `the text has ${tokens.length} tokens; a row needs ${length + 1}`)
  const rowsPerEpoch = Math.max(1, Math.floor((tokens.length - 1) / length) - (seed === null ? 0 : 1))
  const piece = new Int32Array(length + 1)
  let [epoch, offset] = [-1, 0]
  let order = (index: number): number => index

  const enter = (wanted: number): void => {
    epoch = wanted
    if (seed === null) return
    const most = tokens.length - 1 - rowsPerEpoch * length
    offset = randomNumbers(seed, wanted, 1).below(Math.min(length, most) + 1)
    order = shuffledIndex(rowsPerEpoch, seed, wanted, 2)
  }

  return {
    length,
    rowsPerEpoch,
    hasDocuments: tokens.starts.length > 1,
    fill(index: number, row: Row) {
      const wanted = Math.floor(index / rowsPerEpoch)
      if (wanted !== epoch) enter(wanted)
      const at = offset + order(index % rowsPerEpoch) * length
      tokens.read(at, piece)
      let next = firstAfter(tokens.starts, at)
      const shift = begin === null || tokens.starts[next - 1] === at ? 0 : 1
      if (shift === 1) row.inputs[0] = begin as number
      row.inputs.set(piece.subarray(0, length - shift), shift)
      row.targets.set(piece.subarray(1 - shift, 1 - shift + length))
      for (let document = 0; next < tokens.starts.length; next++) {
        const first = (tokens.starts[next] as number) - at + shift
        if (first > length) break
        row.targets[first - 1] = -1
        row.documents.fill(++document, first)
      }
    },
  }
}

/** the first of ascending numbers that is larger than a value */
function firstAfter(numbers: Float64Array, value: number): number {
  let [low, high] = [0, numbers.length]
  while (low < high) {
    const middle = (low + high) >> 1
    if ((numbers[middle] as number) > value) high = middle
    else low = middle + 1
  }
  return low
}

const fields: FieldsOf<TextRowsOptions> = { tokens: true, length: true, seed: true, begin: true }
