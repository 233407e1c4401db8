import type { Width } from './value-type.ts'

/** What has a number of rows and columns. */
export interface Shaped {
  readonly rows: number
  readonly cols: number
}

/**
 * The invocations of a workgroup as a grid of `rows` × `cols`, the same for every tile of a program. The invocation at
 * (tr, tc) holds of each tile the rows tr + i·rows and, in chunks of four, the columns 4·(tc + j·cols); a size of 1 is held
 * by all along that axis. So element-wise work, broadcasts included, never moves a value.
 */
export interface ThreadGrid {
  readonly rows: number
  readonly cols: number
}

/** Rows of a value held by one invocation. */
export function rowCount(grid: ThreadGrid, shape: Shaped): number {
  return shape.rows === 1 ? 1 : Math.ceil(shape.rows / grid.rows)
}

/** Chunks of a row held by one invocation. */
export function chunkCount(grid: ThreadGrid, shape: Shaped): number {
  return shape.cols === 1 ? 1 : Math.ceil(shape.cols / (4 * grid.cols))
}

/** How many elements side by side a value is held in. */
export function chunkWidth(shape: Shaped): Width {
  return shape.cols === 1 ? 1 : 4
}

/** Calls `visit` for every (row, chunk) that one invocation holds of a value. */
export function forEachSlot(grid: ThreadGrid, shape: Shaped, visit: (i: number, j: number) => void): void {
  for (let i = 0; i < rowCount(grid, shape); i++) for (let j = 0; j < chunkCount(grid, shape); j++) visit(i, j)
}
