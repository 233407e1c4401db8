import type { PagePool } from '../attention/paged/page-pool.ts'
import type { Device, Tensor } from '../device/device.ts'
import {
  checkFields,
  colRange,
  defineProgram,
  type FieldsOf,
  FoveaError,
  type Kernel,
  load,
  loop,
  type Program,
  rowRange,
  type StorageDType,
  sizeOf,
  store,
} from '../tile/index.ts'

export interface CopyPagesOptions {
  readonly pages: PagePool
  /** pages to copy, and where to: as many of both, no page both read and written */
  readonly source: readonly number[]
  readonly target: readonly number[]
}

const tile = { rows: 16, cols: 64 }

/**
 * Copies whole pages of a pool within the device, keys, values and scales: what copy on write does before a shared page is
 * written to. Throws `argument` for pages that the pool does not have and lists that do not match, and what `Device.run`
 * throws.
 */
export function copyPages(device: Device, options: CopyPagesOptions): void {
  checkFields('copyPages', 'options', options, fields)
  const { pages, source, target } = options
  const bad = [...source, ...target].find((page) => !Number.isInteger(page) || page < 0 || page >= pages.pages)
  if (bad !== undefined || source.length !== target.length || source.some((page) => target.includes(page)))
    throw new FoveaError(
      'argument',
      'copyPages',
      `copies pages 0 … ${pages.pages - 1} onto as many others, got [${source.join(', ')}] onto [${target.join(', ')}]`,
    )
  source.forEach((from, i) => {
    const to = target[i] as number
    for (const plane of [pages.keys, pages.values, pages.scales]) copyPage(device, pages, plane, from, to)
  })
}

function copyPage(device: Device, pages: PagePool, plane: readonly Tensor[], from: number, to: number): void {
  const segment = (page: number) => plane[Math.floor(page / pages.pagesPerSegment)]
  const [input, output] = [segment(from), segment(to)]
  if (!input || !output) return
  const [x, y] = [asRows(input, from % pages.pagesPerSegment), asRows(output, to % pages.pagesPerSegment)]
  try {
    // a tensor that is written may not be bound twice: within one segment both pages are rows of one
    if (input === output) copyWithin(device, input, from % pages.pagesPerSegment, to % pages.pagesPerSegment)
    else device.run(kernelOf(copyProgram(input.dtype), x), { input: x, output: y })
  } finally {
    x.dispose()
    y.dispose()
  }
}

/** A page as a matrix. */
function asRows(tensor: Tensor, page: number): Tensor {
  const count = (tensor.strides[0] as number) / (tensor.shape.at(-1) as number)
  const width = tensor.shape.at(-1) as number
  return tensor.view({ shape: [count, width], offset: tensor.offset + page * (tensor.strides[0] as number) })
}

function kernelOf(program: Program, { shape }: Tensor, scalars: Readonly<Record<string, number>> = {}): Kernel {
  return { program, grid: [Math.ceil((shape[0] as number) / tile.rows), 1, 1], scalars }
}

function copyWithin(device: Device, tensor: Tensor, from: number, to: number): void {
  const width = tensor.shape.at(-1) as number
  const rows = (tensor.strides[0] as number) / width
  const all = tensor.view({ shape: [tensor.shape[0] as number, rows, width] })
  const page = asRows(tensor, from)
  try {
    device.run(kernelOf(copyWithinProgram(tensor.dtype), page, { from, to }), { pages: all })
  } finally {
    page.dispose()
    all.dispose()
  }
}

/** One program copies 16 rows of a page. */
function copyProgram(dtype: StorageDType): Program {
  return defineProgram('copy-page', (p) => {
    const input = p.input('input', dtype, [null, null])
    const output = p.output('output', dtype, [null, null])
    const rows = rowRange(p.programId(0).mul(tile.rows), tile.rows) //      [16, 1]
    loop(
      { to: sizeOf(input, 1), step: tile.cols },
      {},
      (start, _, emit) => {
        const at = [rows, colRange(start, tile.cols)] as const //           [16, 64]
        emit(store(output, at, load(input, at)))
        return {}
      },
      p.emit,
    )
  })
}

/** The same where both pages are of one tensor; no page is both read and written, so the order of programs does not matter. */
function copyWithinProgram(dtype: StorageDType): Program {
  return defineProgram('copy-page-within', (p) => {
    const pages = p.update('pages', dtype, [null, null, null])
    const [from, to] = [p.scalar('from', 'i32'), p.scalar('to', 'i32')]
    const rows = rowRange(p.programId(0).mul(tile.rows), tile.rows) //      [16, 1]
    loop(
      { to: sizeOf(pages, 2), step: tile.cols },
      {},
      (start, _, emit) => {
        const cols = colRange(start, tile.cols) //                          [1, 64]
        emit(store(pages, [to, rows, cols], load(pages, [from, rows, cols])))
        return {}
      },
      p.emit,
    )
  })
}

const fields: FieldsOf<CopyPagesOptions> = { pages: true, source: true, target: true }
