import type { TransposeNode } from '../ir/node.ts'
import { fromMemory, toMemory } from './carry-value.ts'
import { type Emission, writeBarrier } from './emission.ts'
import { slotPlace } from './place.ts'
import { renderValue } from './render-value.ts'
import type { TextWriter } from './text-writer.ts'
import { chunkCount, chunkWidth, forEachSlot, rowCount, type Shaped, type ThreadGrid } from './thread-grid.ts'
import { component, valueType } from './value-type.ts'
import type { MemoryRequest } from './workgroup-memory.ts'

/** one more than the rows of the result, so that neither side reads a single bank */
const stride = (x: Shaped) => x.cols | 1

export function transposeMemory(node: TransposeNode): MemoryRequest {
  return {
    owner: node,
    parts: [{ role: 'tile', type: 'f32', chunks: Math.ceil((node.x.rows * stride(node.x)) / 4), kept: false }],
  }
}

/** Moves a tile through workgroup memory, element by element. */
export function emitTranspose(e: Emission, w: TextWriter, node: TransposeNode): void {
  const { x } = node
  const { grid } = e
  const range = e.memory(node, 'tile')
  const element = (row: string, col: string) => {
    const at = w.share(`${row} * ${stride(x)}i + ${col}`, 'at')
    return `${range.array}[${range.from}i + (${at} >> 2u)][${at} & 3i]`
  }
  const row = (shape: Shaped, i: number) => (shape.rows === 1 ? '0i' : `row${i}`)
  const col = (shape: Shaped, j: number, c: number) => (shape.cols === 1 ? '0i' : `(col${j} + ${c}i)`)
  e.barriers.write(range, writeBarrier(w))
  forEachSlot(grid, x, (i, j) => {
    const width = chunkWidth(x)
    const value = w.declare(toMemory(renderValue(e, w, x, slotPlace(grid, i, j)), x.dtype, width))
    for (let c = 0; c < width; c++) {
      const owner = inside(grid, x, i, j, c, true)
      const write = () => w.line(`${element(row(x, i), col(x, j, c))} = ${component(value, c, width)};`)
      if (owner) w.block(`if (${owner})`, write)
      else write()
    }
  })
  e.barriers.read([range], writeBarrier(w))
  forEachSlot(grid, node, (i, j) => {
    const width = chunkWidth(node)
    const values = Array.from({ length: width }, (_, c) => {
      const [r, k] = [row(node, i), col(node, j, c)]
      const ok = inside(grid, node, i, j, c, false)
      return fromMemory(
        ok ? element(`select(0i, ${k}, ${ok})`, `select(0i, ${r}, ${ok})`) : element(k, r),
        node.dtype,
        1,
      )
    })
    const value = width === 1 ? values[0] : `${valueType(node.dtype, 4)}(${values.join(', ')})`
    w.line(`let ${e.register(node, i, j)} = ${value};`)
  })
}

function inside(grid: ThreadGrid, shape: Shaped, i: number, j: number, c: number, owned: boolean): string | null {
  const place = slotPlace(grid, i, j)
  const conditions: string[] = []
  if (shape.rows === 1 && owned && grid.rows > 1) conditions.push('thread_row == 0i')
  if (shape.cols === 1 && owned && grid.cols > 1) conditions.push('thread_col == 0i')
  if (shape.rows > 1 && rowCount(grid, shape) * grid.rows > shape.rows && place.rowEnd > shape.rows)
    conditions.push(`${place.row} < ${shape.rows}i`)
  if (shape.cols > 1 && chunkCount(grid, shape) * grid.cols * 4 > shape.cols && place.colEnd > shape.cols)
    conditions.push(`${place.col} + ${c}i < ${shape.cols}i`)
  return conditions.length ? conditions.join(' && ') : null
}
