import type { ScanNode } from '../ir/node.ts'
import { fromMemory, toMemory } from './carry-value.ts'
import { type Emission, writeBarrier } from './emission.ts'
import { slotPlace } from './place.ts'
import { renderValue } from './render-value.ts'
import type { TextWriter } from './text-writer.ts'
import { chunkCount, chunkWidth, forEachSlot, rowCount, type ThreadGrid } from './thread-grid.ts'
import { valueType, widen } from './value-type.ts'
import type { MemoryRequest } from './workgroup-memory.ts'

/** How a running sum is split: `lines` independent ones of `length`, each in `parts` of `partLength` by as many invocations. */
function split(node: ScanNode, grid: ThreadGrid) {
  const [lines, length] = node.axis === 'rows' ? [node.cols, node.rows] : [node.rows, node.cols]
  const threads = grid.rows * grid.cols
  const wanted = Math.max(1, Math.min(Math.floor(threads / lines), Math.ceil(Math.sqrt(length))))
  const partLength = Math.ceil(length / wanted)
  return { lines, length, partLength, parts: Math.ceil(length / partLength), threads }
}

const chunksPerRow = (node: ScanNode) => Math.ceil(node.cols / 4)

export function scanMemory(node: ScanNode, grid: ThreadGrid): MemoryRequest {
  const { lines, parts } = split(node, grid)
  const part = (role: string, chunks: number) => ({ role, type: 'f32' as const, chunks, kept: false })
  return {
    owner: node,
    parts: [part('tile', node.rows * chunksPerRow(node)), part('sums', Math.ceil((lines * parts) / 4))],
  }
}

/**
 * Running sum through workgroup memory: every invocation sums one part of a line in place, then adds the sums of the parts
 * before.
 */
export function emitScan(e: Emission, w: TextWriter, node: ScanNode): void {
  const { grid } = e
  const { lines, length, partLength, parts, threads } = split(node, grid)
  const tile = e.memory(node, 'tile')
  const sums = e.memory(node, 'sums')
  const barrier = writeBarrier(w)
  const width = chunkWidth(node)
  const chunk = (row: string, j: number) =>
    `${tile.array}[${tile.from}i + ${row} * ${chunksPerRow(node)}i + ${node.cols === 1 ? '0i' : `thread_col + ${j * grid.cols}i`}]`
  const rowOf = (i: number) => (node.rows === 1 ? '0i' : `row${i}`)
  const inside = (i: number, j: number): string[] => {
    const place = slotPlace(grid, i, j)
    const conditions: string[] = []
    if (node.rows > 1 && place.rowEnd > node.rows && rowCount(grid, node) * grid.rows > node.rows)
      conditions.push(`${place.row} < ${node.rows}i`)
    if (node.cols > 1 && place.colEnd > node.cols && chunkCount(grid, node) * grid.cols * 4 > node.cols)
      conditions.push(`${place.col} < ${node.cols}i`)
    return conditions
  }
  e.barriers.write(tile, barrier)
  forEachSlot(grid, node, (i, j) => {
    const conditions = inside(i, j)
    if (node.rows === 1 && grid.rows > 1) conditions.push('thread_row == 0i')
    if (node.cols === 1 && grid.cols > 1) conditions.push('thread_col == 0i')
    const value = widen(toMemory(renderValue(e, w, node.x, slotPlace(grid, i, j)), node.dtype, width), 'f32', width, 4)
    const write = () => w.line(`${chunk(rowOf(i), j)} = ${value};`)
    if (conditions.length) w.block(`if (${conditions.join(' && ')})`, write)
    else write()
  })
  e.barriers.read([tile], barrier)
  e.barriers.write(sums, barrier)
  const each = (visit: (line: string, part: string, element: string) => void) =>
    w.block(`for (var n = thread; n < ${lines * parts}i; n += ${threads}i)`, () => {
      const line = w.declare(`n % ${lines}i`, 'line')
      const part = w.declare(`n / ${lines}i`, 'part')
      const along = node.reverse ? `(${length - 1}i - s)` : 's'
      const [row, col] = node.axis === 'rows' ? [along, line] : [line, along]
      visit(line, part, `${tile.array}[${tile.from}i + ${row} * ${chunksPerRow(node)}i + (${col} >> 2u)][${col} & 3i]`)
    })
  const overPart = (part: string, body: () => void) =>
    w.block(`for (var s = ${part} * ${partLength}i; s < min((${part} + 1i) * ${partLength}i, ${length}i); s++)`, body)
  const sumAt = (at: string) => `${sums.array}[${sums.from}i + (${at} >> 2u)][${at} & 3i]`
  each((_, part, element) => {
    w.line(`var sum = ${node.dtype}(0);`)
    overPart(part, () => {
      w.line(`sum += ${fromMemory(element, node.dtype, 1)};`)
      w.line(`${element} = ${toMemory('sum', node.dtype, 1)};`)
    })
    w.line(`${sumAt('n')} = ${toMemory('sum', node.dtype, 1)};`)
  })
  if (parts > 1) {
    e.barriers.read([sums], barrier)
    each((line, part, element) => {
      w.line(`var before = ${node.dtype}(0);`)
      w.block(`for (var p = 0i; p < ${part}; p++)`, () =>
        w.line(`before += ${fromMemory(sumAt(`(p * ${lines}i + ${line})`), node.dtype, 1)};`),
      )
      overPart(part, () =>
        w.line(`${element} = ${toMemory(`(${fromMemory(element, node.dtype, 1)} + before)`, node.dtype, 1)};`),
      )
    })
  }
  e.barriers.barrier(barrier)
  e.barriers.read([tile], barrier)
  const type = valueType(node.dtype, width)
  forEachSlot(grid, node, (i, j) => {
    const name = e.register(node, i, j)
    const stored = chunk(rowOf(i), j)
    w.line(`var ${name}: ${type} = ${fromMemory(width === 1 ? `${stored}.x` : stored, node.dtype, width)};`)
  })
}
