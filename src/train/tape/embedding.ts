import type { Tensor } from '../../device/device.ts'
import { embed as embedKernel } from '../../nn/embedding.ts'
import { embedBackward } from '../../nn/embedding-backward.ts'
import type { StorageDType } from '../../tile/index.ts'
import type { TapeCore } from './tape-core.ts'
import { isTrained, type TapeWeight } from './tape-weight.ts'
import type { Variable } from './variable.ts'

/** Rows of a table to gather, and which of them each row of the table was gathered for. */
export interface TableRows {
  readonly ids: Tensor // i32 [N]
  /** places in `ids`, sorted by the id there: `sortIds` makes both on the host */
  readonly order: Tensor // i32 [N]
  /** where the places of an id begin in `order` */
  readonly starts: Tensor // i32 [V + 1]
}

export interface TapeEmbedding {
  readonly table: TapeWeight // [V, C]
  readonly rows: TableRows
  /** factor of the table's rows (1) */
  readonly scale?: number
  readonly positions?: { readonly table: TapeWeight /* [P, C] */; readonly rows: TableRows }
  readonly dtype: StorageDType
}

/** y [N, C] = scale · table[ids] + positionTable[positions]. Each row of a gradient is a sum in the order of the tokens: no atomics. */
export function embed(tape: TapeCore, { table, rows, scale = 1, positions, dtype }: TapeEmbedding): Variable {
  const { device } = tape
  const [count = 0] = rows.ids.shape
  const y = tape.empty([count, table.compute.shape[1] ?? 0], dtype, isTrained(table, positions?.table))
  embedKernel(device, {
    table: table.compute,
    ids: rows.ids,
    scale,
    ...(positions && { positionTable: positions.table.compute, positions: positions.rows.ids }),
    output: y.value,
  })
  return tape.note({
    output: y,
    keeps: [],
    backward() {
      const dOutput = y.gradient?.tensor as Tensor
      if (table.gradient) embedBackward(device, { ...placesOf(rows), dOutput, dTable: table.gradient, scale })
      if (positions?.table.gradient)
        embedBackward(device, { ...placesOf(positions.rows), dOutput, dTable: positions.table.gradient, scale: 1 })
    },
  })
}

const placesOf = ({ order, starts }: TableRows) => ({ order, starts })

/** Places of ids in the order of the ids, equal ones in theirs, and where each id begins: a counting sort. */
export function sortIds(ids: Int32Array, size: number): { readonly order: Int32Array; readonly starts: Int32Array } {
  const starts = new Int32Array(size + 1)
  for (const id of ids) starts[id + 1]!++
  for (let id = 0; id < size; id++) starts[id + 1]! += starts[id]!
  const next = starts.slice()
  const order = new Int32Array(ids.length)
  for (let place = 0; place < ids.length; place++) order[next[ids[place]!]!++] = place
  return { order, starts }
}
