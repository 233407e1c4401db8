import { checkFields, type FieldsOf, FoveaError } from '../../tile/index.ts'
import type { Row, Rows } from './rows.ts'

export interface RowShare {
  readonly rows: Rows
  /** relative to the sum of all */
  readonly share: number
}

/**
 * Rows of several lists in turn, in fixed proportions and as evenly as they can be. Each list is read in its own order
 * without gaps. Throws `argument` for rows of different lengths and shares that are not positive.
 */
export function mixRows(parts: readonly RowShare[]): Rows {
  const [first, ...rest] = parts
  if (!first) throw new FoveaError('argument', 'mixRows', 'there are no rows to mix')
  for (const part of parts) {
    checkFields('mixRows', 'a part', part, fields)
    const { rows, share } = part
    if (rows.length !== first.rows.length)
      throw new FoveaError('argument', 'mixRows', `rows of ${rows.length} tokens among rows of ${first.rows.length}`)
    if (!(share > 0 && share < Number.POSITIVE_INFINITY))
      throw new FoveaError('argument', 'mixRows', `a share must be positive, got ${share}`)
  }
  if (rest.length === 0) return first.rows
  const others = mixRows(rest)
  const part = first.share / parts.reduce((sum, { share }) => sum + share, 0)
  return {
    length: first.rows.length,
    hasDocuments: first.rows.hasDocuments || others.hasDocuments,
    fill(index: number, row: Row) {
      // of the first n rows ⌊n · part⌋ are of the first list
      const before = Math.floor(index * part)
      if (Math.floor((index + 1) * part) > before) first.rows.fill(before, row)
      else others.fill(index - before, row)
    },
  }
}

const fields: FieldsOf<RowShare> = { rows: true, share: true }
