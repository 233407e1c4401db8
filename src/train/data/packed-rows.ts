import { checkFields, type FieldsOf, FoveaError } from '../../tile/index.ts'
import { packDocuments } from './pack-documents.ts'
import type { Row, Rows } from './rows.ts'
import { shuffledIndex } from './shuffled-index.ts'

export interface PackedDocument {
  readonly tokens: ArrayLike<number>
  /** whether each token is to be learnt; absent: all but the first */
  readonly learn?: ArrayLike<boolean>
}

export interface PackedRows extends Rows {
  readonly rowsPerEpoch: number
}

/**
 * Rows of whole documents, packed by `packDocuments`, in another order in each epoch. What a row has left over is filled with
 * `padding` and not learnt. Throws `argument` for no documents, or one that is longer than a row.
 */
export function packedRows(options: {
  readonly documents: readonly PackedDocument[]
  readonly length: number
  readonly padding: number
  /** decides the order (0) */
  readonly seed?: number
}): PackedRows {
  checkFields('packedRows', 'options', options, fields)
  const { documents, length, padding, seed = 0 } = options
  if (documents.length === 0) throw new FoveaError('argument', 'packedRows', 'there are no documents')
  const plan = packDocuments(
    documents.map(({ tokens }) => tokens.length),
    length,
  )
  return {
    length,
    hasDocuments: true,
    rowsPerEpoch: plan.length,
    fill(index: number, { inputs, targets, documents: ids }: Row) {
      const order = shuffledIndex(plan.length, seed, Math.floor(index / plan.length))
      let at = 0
      for (const [id, which] of (plan[order(index % plan.length)] ?? []).entries()) {
        const { tokens, learn } = documents[which] as PackedDocument
        for (let i = 0; i < tokens.length; i++) {
          inputs[at + i] = tokens[i] as number
          targets[at + i] = i + 1 < tokens.length && (learn?.[i + 1] ?? true) ? (tokens[i + 1] as number) : -1
          ids[at + i] = id
        }
        at += tokens.length
      }
      inputs.fill(padding, at)
      targets.fill(-1, at)
      ids.fill(documents.length, at)
    },
  }
}

const fields: FieldsOf<Parameters<typeof packedRows>[0]> = { documents: true, length: true, padding: true, seed: true }
