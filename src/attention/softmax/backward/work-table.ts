import type { WorkList } from '../work-list.ts'

/** Columns of a work table: the rows of its items, and, behind them, those of its runs. */
export const workWidth = 9

/** fields of a run: tiles from … to−1 of the streamed side, whether all of it is allowed, and which query head of the group */
export const runFields = ['from', 'to', 'full', 'member'] as const

/**
 * A work list as one tensor, so that a kernel spends one binding on it: `itemCount` rows that each name a program's part,
 * then the runs. `runFrom` and `runTo` of an item count rows of this table.
 */
export interface WorkTable {
  readonly table: Int32Array // [itemCount + runs, workWidth]
  readonly itemCount: number
  /** grid along y: heads that share each item */
  readonly headsPerItem: number
  /** tiles streamed by all programs together */
  readonly tiles: number
}

/** `items` (rows of workWidth, the last two counting runs) and `runs` (rows of `width`) in one table. */
export function joinWork(items: Int32Array, runs: Int32Array, width: number): Int32Array {
  const itemCount = items.length / workWidth
  const runCount = runs.length / width
  const table = new Int32Array((itemCount + runCount) * workWidth)
  table.set(items)
  for (let row = 0; row < itemCount; row++)
    for (const field of [workWidth - 2, workWidth - 1]) table[row * workWidth + field]! += itemCount
  for (let run = 0; run < runCount; run++)
    table.set(runs.subarray(run * width, (run + 1) * width), (itemCount + run) * workWidth)
  return table
}

/** The work of a pass over queries, as the forward has it. */
export function queryWork(list: WorkList): WorkTable {
  const { items, runs, itemCount, headsPerItem, tiles } = list
  return { table: joinWork(items, runs, 3), itemCount, headsPerItem, tiles }
}
