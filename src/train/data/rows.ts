import { FoveaError } from '../../tile/index.ts'
import type { Batch, BatchSource, JsonValue } from './batch.ts'

/** One row of a batch, to be written: views of [length]. */
export interface Row {
  readonly inputs: Int32Array
  readonly targets: Int32Array
  /** zero at first */
  readonly documents: Int32Array
}

/** A list of rows without end, each a function of its index. */
export interface Rows {
  readonly length: number
  /** can a row hold more than one document? */
  readonly hasDocuments: boolean
  fill(index: number, row: Row): void
}

/**
 * Batches of consecutive rows; the state is the index of the next row. Throws `argument` for a batch that is no whole
 * number of at least 1.
 */
export function batchesOf(rows: Rows, batch: number): BatchSource {
  if (!Number.isSafeInteger(batch) || batch < 1)
    throw new FoveaError('argument', 'batchesOf', `batch must be a whole number of at least 1, got ${batch}`)
  const { length, hasDocuments } = rows
  let next = 0
  return {
    batch,
    length,
    next(): Batch {
      const all = batchMemory(batch * length)
      for (let at = 0; at < batch; at++) {
        const view = (whole: Int32Array) => whole.subarray(at * length, (at + 1) * length)
        const { inputs, targets, documents } = all
        rows.fill(next + at, { inputs: view(inputs), targets: view(targets), documents: view(documents) })
      }
      next += batch
      return hasDocuments ? all : { inputs: all.inputs, targets: all.targets }
    },
    state: () => ({ row: next }),
    restore(state: JsonValue) {
      const row = typeof state === 'object' && state !== null && 'row' in state ? state.row : undefined
      if (typeof row !== 'number' || !Number.isSafeInteger(row) || row < 0)
        throw new FoveaError('format', 'restore', `no state of a batch source: ${JSON.stringify(state)}`)
      next = row
    },
  }
}

function batchMemory(count: number): Required<Batch> {
  return { inputs: new Int32Array(count), targets: new Int32Array(count).fill(-1), documents: new Int32Array(count) }
}
