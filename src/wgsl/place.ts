import type { ThreadGrid } from './thread-grid.ts'
import type { Width } from './value-type.ts'

/** Where in a tile an expression is evaluated. */
export interface Place {
  /** i32 expressions of the row and of the first column */
  readonly row: string
  readonly col: string
  /** columns evaluated side by side, for values that have several */
  readonly width: Width
  /** every row and column evaluated here is below these, in every invocation */
  readonly rowEnd: number
  readonly colEnd: number
  /** where register values may be read: the row and chunk of this invocation */
  readonly slot: { readonly i: number; readonly j: number } | null
}

/** Row i and chunk j of the invocation; `row0`, `col0` … are declared by the prologue. */
export function slotPlace(grid: ThreadGrid, i: number, j: number): Place {
  return {
    row: `row${i}`,
    col: `col${j}`,
    width: 4,
    rowEnd: (i + 1) * grid.rows,
    colEnd: 4 * (j + 1) * grid.cols,
    slot: { i, j },
  }
}

/** Declarations of `row0`, `col0` … from `thread_row` and `thread_col`. */
export function slotDeclarations(grid: ThreadGrid, rows: number, chunks: number): string[] {
  const lines: string[] = []
  for (let i = 0; i < rows; i++) lines.push(`let row${i} = thread_row${i ? ` + ${i * grid.rows}i` : ''};`)
  for (let j = 0; j < chunks; j++) lines.push(`let col${j} = 4i * thread_col${j ? ` + ${4 * j * grid.cols}i` : ''};`)
  return lines
}
