import { checkFields, type FieldsOf, FoveaError } from '../tile/index.ts'

/**
 * A sparsity pattern made by the caller: for each block of blockSize[0] queries × blockSize[1] keys 0 (or false) skips it, 1
 * (or true) attends to it where `maskMod` allows, 2 attends to all of it without asking `maskMod`.
 */
export interface BlockMask {
  readonly blockSize: readonly [queries: number, keys: number]
  /**
   * Row-major: a Uint8Array or rows of booleans, ⌈T / queries⌉ rows of ⌈S / keys⌉ blocks; or only the blocks to attend to,
   * compressed by rows. With `heads` and `batch`, the patterns follow each other: batch slowest, then heads, then rows.
   */
  readonly blocks: Uint8Array | readonly (readonly boolean[])[] | CompressedRows
  /** 1 (shared by all heads, the default) or the number of query heads */
  readonly heads?: number
  /** 1 (shared by all sequences, the default) or the batch size */
  readonly batch?: number
}

/** Row i attends to the blocks columns[rowStart[i]] … columns[rowStart[i + 1] − 1]. */
export interface CompressedRows {
  readonly rowStart: ArrayLike<number>
  readonly columns: ArrayLike<number>
}

/** A block mask in one form, checked; asked about any rectangle of blocks in constant time. */
export interface BlockPattern {
  readonly blockQ: number
  readonly blockK: number
  readonly rows: number
  readonly columns: number
  readonly heads: number
  readonly batch: number
  /** [batch, heads, rows, columns]: 0, 1 or 2 */
  readonly cells: Uint8Array
  /** what queries qFrom … qTo−1 × keys kFrom … kTo−1 hold: one of the three values, or null when they differ */
  region(batch: number, head: number, qFrom: number, qTo: number, kFrom: number, kTo: number): 0 | 1 | 2 | null
}

/** Throws `argument` and `shape`, in the name of `where`, for what does not fit lengths and head counts. */
export function readBlockMask(
  where: string,
  mask: BlockMask,
  shape: { readonly batch: number; readonly heads: number; readonly qLength: number; readonly kLength: number },
): BlockPattern {
  checkFields(where, 'blockMask', mask, fields)
  const { blocks } = mask as Partial<BlockMask>
  if (!Array.isArray(mask.blockSize) || typeof blocks !== 'object' || blocks === null)
    throw new FoveaError('argument', where, 'blockMask must have blockSize, two integers, and blocks')
  const [blockQ, blockK] = mask.blockSize
  const { heads = 1, batch = 1 } = mask
  if (!Number.isInteger(blockQ) || !Number.isInteger(blockK) || blockQ < 1 || blockK < 1)
    throw new FoveaError('argument', where, `blockMask.blockSize must be positive integers, got [${mask.blockSize}]`)
  for (const [name, given, needed] of [
    ['heads', heads, shape.heads],
    ['batch', batch, shape.batch],
  ] as const)
    if (given !== 1 && given !== needed)
      throw new FoveaError('shape', where, `blockMask.${name} must be 1 or ${needed}, got ${given}`)
  const rows = Math.ceil(shape.qLength / blockQ)
  const columns = Math.ceil(shape.kLength / blockK)
  const planes = heads * batch
  const cells = readCells(where, mask.blocks, planes * rows, columns)
  // sums over all blocks above and to the left, of blocks that are not 0 and of blocks that are 2
  const stride = columns + 1
  const taken = new Int32Array(planes * (rows + 1) * stride)
  const full = new Int32Array(taken.length)
  for (let plane = 0; plane < planes; plane++)
    for (let row = 0; row < rows; row++) {
      let [takenSum, fullSum] = [0, 0]
      const above = (plane * (rows + 1) + row) * stride
      for (let column = 0; column < columns; column++) {
        const cell = cells[(plane * rows + row) * columns + column] as number
        if (cell > 0) takenSum++
        if (cell === 2) fullSum++
        taken[above + stride + column + 1] = (taken[above + column + 1] as number) + takenSum
        full[above + stride + column + 1] = (full[above + column + 1] as number) + fullSum
      }
    }
  return {
    blockQ,
    blockK,
    rows,
    columns,
    heads,
    batch,
    cells,
    region(b, h, qFrom, qTo, kFrom, kTo) {
      const base = ((batch === 1 ? 0 : b) * heads + (heads === 1 ? 0 : h)) * (rows + 1) * stride
      const [top, bottom] = [Math.floor(qFrom / blockQ), Math.ceil(qTo / blockQ)]
      const [left, right] = [Math.floor(kFrom / blockK), Math.ceil(kTo / blockK)]
      const count = (sums: Int32Array) =>
        (sums[base + bottom * stride + right] as number) -
        (sums[base + top * stride + right] as number) -
        (sums[base + bottom * stride + left] as number) +
        (sums[base + top * stride + left] as number)
      const takenCount = count(taken)
      if (takenCount === 0) return 0
      const area = (bottom - top) * (right - left)
      const fullCount = count(full)
      if (fullCount === area) return 2
      return takenCount === area && fullCount === 0 ? 1 : null
    },
  }
}

const fields: FieldsOf<BlockMask> = { blockSize: true, blocks: true, heads: true, batch: true }
const rowsFields: FieldsOf<CompressedRows> = { rowStart: true, columns: true }

const isCompressed = (blocks: BlockMask['blocks']): blocks is CompressedRows => !Array.isArray(blocks)

function readCells(where: string, blocks: BlockMask['blocks'], rows: number, columns: number): Uint8Array {
  const wrong = (got: string) =>
    new FoveaError('shape', where, `blockMask.blocks must be ${rows} rows of ${columns} blocks, got ${got}`)
  if (blocks instanceof Uint8Array) {
    if (blocks.length !== rows * columns) throw wrong(`Uint8Array(${blocks.length})`)
    const odd = blocks.findIndex((cell) => cell > 2)
    if (odd >= 0)
      throw new FoveaError('argument', where, `blockMask.blocks holds 0, 1 or 2, got ${blocks[odd]} at ${odd}`)
    return blocks.slice()
  }
  const cells = new Uint8Array(rows * columns)
  if (isCompressed(blocks)) {
    checkFields(where, 'blockMask.blocks', blocks, rowsFields)
    if (!blocks.rowStart || !blocks.columns) throw wrong('neither rows nor rowStart and columns')
    if (blocks.rowStart.length !== rows + 1) throw wrong(`rowStart of length ${blocks.rowStart.length}`)
    for (let row = 0; row < rows; row++) {
      const [start, end] = [blocks.rowStart[row] as number, blocks.rowStart[row + 1] as number]
      if (!(Number.isInteger(start) && start >= 0 && end >= start))
        throw new FoveaError(
          'argument',
          where,
          `blockMask.blocks.rowStart holds integers that do not decrease, got ${start} and ${end} at ${row}`,
        )
      for (let i = start; i < end; i++) {
        const column = blocks.columns[i]
        if (column === undefined || column < 0 || column >= columns || !Number.isInteger(column))
          throw new FoveaError(
            'argument',
            where,
            `blockMask.blocks.columns[${i}] must be 0 … ${columns - 1}, got ${column}`,
          )
        cells[row * columns + column] = 1
      }
    }
    return cells
  }
  if (blocks.length !== rows) throw wrong(`${blocks.length} rows`)
  blocks.forEach((list, row) => {
    if (list.length !== columns) throw wrong(`${list.length} blocks in row ${row}`)
    list.forEach((allowed, column) => {
      cells[row * columns + column] = allowed ? 1 : 0
    })
  })
  return cells
}
