import type { MemoryRange } from './barriers.ts'
import type { StagedOperand } from './dot-plan.ts'
import type { Emission } from './emission.ts'
import { slotPlace } from './place.ts'
import { renderWide } from './render-value.ts'
import type { TextWriter } from './text-writer.ts'
import { chunkCount, forEachSlot, rowCount } from './thread-grid.ts'

/** values loaded before any is written, so that their latencies overlap */
const batch = 8

/**
 * Copies `count` positions of the inner dimension of an operand, from `start` on (an i32 expression, and its value where it is
 * known), into workgroup memory.
 */
export function emitStaging(
  e: Emission,
  w: TextWriter,
  operand: StagedOperand,
  range: MemoryRange,
  start: { readonly text: string; readonly value: number | null },
  count: number,
): void {
  w.block('', () => {
    if (operand.source === 'virtual') stageVirtual(e, w, operand, range, start, count)
    else stageRegisters(e, w, operand, range, start.value ?? 0, count)
  })
}

function target(operand: StagedOperand, range: MemoryRange, line: string, chunk: string): string {
  const slot = operand.permuted ? `((${line} & 3i) * ${operand.lines / 4}i + (${line} >> 2u))` : line
  return `${range.array}[${range.from}i + ${slot} * ${operand.stride}i + ${chunk}]`
}

const stored = (operand: StagedOperand, value: string) => (operand.type === 'f16' ? `vec4<f16>(${value})` : value)

/** All invocations share the chunks out between them, whatever the grid. */
function stageVirtual(
  e: Emission,
  w: TextWriter,
  operand: StagedOperand,
  range: MemoryRange,
  start: { readonly text: string; readonly value: number | null },
  count: number,
): void {
  const { node, inner } = operand
  const threads = e.grid.rows * e.grid.cols
  const lines = inner === 'cols' ? node.rows : count
  const chunks = Math.ceil((inner === 'cols' ? count : node.cols) / 4)
  const total = lines * chunks
  const rounds = Math.ceil(total / threads)
  const begins = start.value === 0 ? '' : `${start.text} + `
  const even = threads % chunks === 0
  for (let first = 0; first < rounds; first += batch) {
    const writes: (() => void)[] = []
    for (let round = first; round < Math.min(first + batch, rounds); round++) {
      const guarded = (round + 1) * threads > total
      const at = w.share(round ? `thread + ${round * threads}i` : 'thread', 'n')
      const line = even
        ? w.share(`thread / ${chunks}i${round ? ` + ${round * (threads / chunks)}i` : ''}`, 'line')
        : w.share(`${at} / ${chunks}i`, 'line')
      const chunk = w.share(even ? `thread % ${chunks}i` : `${at} % ${chunks}i`, 'chunk')
      const place = {
        row: inner === 'cols' ? line : w.share(`${begins}${line}`, 'row'),
        col: inner === 'cols' ? w.share(`${begins}4i * ${chunk}`, 'col') : w.share(`4i * ${chunk}`, 'col'),
        width: 4 as const,
        rowEnd: guarded ? Number.POSITIVE_INFINITY : node.rows,
        colEnd: Math.ceil(node.cols / 4) * 4,
        slot: null,
      }
      const value = w.declare(stored(operand, renderWide(e, w, node, place, 4)), 'staged')
      writes.push(() => {
        const write = `${target(operand, range, line, chunk)} = ${value};`
        if (guarded) w.block(`if (${at} < ${total}i)`, () => w.line(write))
        else w.line(write)
      })
    }
    for (const write of writes) write()
  }
}

/** Every invocation writes what it holds of the slice. */
function stageRegisters(
  e: Emission,
  w: TextWriter,
  operand: StagedOperand,
  range: MemoryRange,
  start: number,
  count: number,
): void {
  const { node, inner } = operand
  const { grid } = e
  forEachSlot(grid, node, (i, j) => {
    const place = slotPlace(grid, i, j)
    const from = inner === 'rows' ? i * grid.rows : j * grid.cols * 4
    if (count < (inner === 'rows' ? node.rows : node.cols) && (from < start || from >= start + count)) return
    const conditions: string[] = []
    if (node.rows === 1 && grid.rows > 1) conditions.push('thread_row == 0i')
    if (node.rows > 1 && place.rowEnd > node.rows && rowCount(grid, node) * grid.rows > node.rows)
      conditions.push(`${place.row} < ${node.rows}i`)
    if (node.cols === 1 && grid.cols > 1) conditions.push('thread_col == 0i')
    if (node.cols > 1 && place.colEnd > node.cols && chunkCount(grid, node) * grid.cols * 4 > node.cols)
      conditions.push(`${place.col} < ${node.cols}i`)
    const row = node.rows === 1 ? '0i' : place.row
    const line = inner === 'rows' && start ? `(${row} - ${start}i)` : row
    const chunk = node.cols === 1 ? '0i' : `thread_col + ${j * grid.cols - (inner === 'cols' ? start / 4 : 0)}i`
    const write = `${target(operand, range, line, chunk)} = ${stored(operand, renderWide(e, w, node, place, 4))};`
    if (conditions.length) w.block(`if (${conditions.join(' && ')})`, () => w.line(write))
    else w.line(write)
  })
}
