import type { ReduceFn } from '../ir/index.ts'
import type { ReduceNode } from '../ir/node.ts'
import { fromMemory, toMemory } from './carry-value.ts'
import { type Emission, type SubgroupSizes, writeBarrier } from './emission.ts'
import { type Place, slotPlace } from './place.ts'
import { renderValue } from './render-value.ts'
import type { TextWriter } from './text-writer.ts'
import { chunkCount, chunkWidth, rowCount, type ThreadGrid } from './thread-grid.ts'
import { component, elementType, literal, valueType, type Width, widen } from './value-type.ts'
import type { MemoryRequest } from './workgroup-memory.ts'

/** Lanes of a row of invocations that surely sit in one subgroup. */
function surelyTogether(grid: ThreadGrid, subgroups: SubgroupSizes | null): number {
  return subgroups ? Math.min(grid.cols, subgroups.min) : 1
}

/** Workgroup memory in which the invocations of a row, or of a column, leave their parts. */
export function reduceMemory(
  node: ReduceNode,
  grid: ThreadGrid,
  subgroups: SubgroupSizes | null,
): MemoryRequest | null {
  const request = (chunks: number) => ({
    owner: node,
    parts: [{ role: 'parts', type: 'f32' as const, chunks, kept: false }],
  })
  if (node.axis === 'rows') {
    if (grid.rows === 1 || node.x.rows === 1) return null
    return request(grid.rows * (node.cols === 1 ? 1 : chunkCount(grid, node) * grid.cols))
  }
  if (node.x.cols === 1 || surelyTogether(grid, subgroups) === grid.cols) return null
  const rows = node.rows === 1 ? grid.rows : rowCount(grid, node) * grid.rows
  return request(rows * Math.ceil(grid.cols / 4))
}

function combine(fn: ReduceFn, a: string, b: string): string {
  return fn === 'sum' ? `${a} + ${b}` : `${fn}(${a}, ${b})`
}

/** What takes the place of elements beyond the tile. */
function neutral(node: ReduceNode): string {
  const { fn, dtype } = node
  if (fn === 'sum') return literal(0, dtype)
  if (elementType(dtype) === 'f32')
    return literal(fn === 'max' ? Number.NEGATIVE_INFINITY : Number.POSITIVE_INFINITY, 'f32')
  if (dtype === 'u32') return fn === 'max' ? '0u' : '4294967295u'
  return fn === 'max' ? '(-2147483647i - 1i)' : '2147483647i'
}

/** Every invocation reduces what it holds, then the invocations along the axis join their parts; all get the result. */
export function emitReduce(e: Emission, w: TextWriter, node: ReduceNode): void {
  if (node.axis === 'cols') reduceColumns(e, w, node)
  else reduceRows(e, w, node)
}

/** the operand at a slot, with padding replaced by the neutral element */
function operandAt(e: Emission, w: TextWriter, node: ReduceNode, place: Place): string {
  const { x, axis } = node
  const value = renderValue(e, w, x, place)
  const width = chunkWidth(x)
  const none = widen(neutral(node), node.dtype, 1, width)
  // a single row is held by all rows of invocations, and is no padding in any
  if (axis === 'rows')
    return x.rows > 1 && x.rows % e.grid.rows && place.rowEnd > x.rows
      ? `select(${none}, ${value}, ${place.row} < ${x.rows}i)`
      : value
  if (x.cols === 1 || place.colEnd <= x.cols) return value
  if (x.cols % 4 === 0) return `select(${none}, ${value}, ${place.col} < ${x.cols}i)`
  return `select(${none}, ${value}, (vec4<i32>(${place.col}) + vec4<i32>(0i, 1i, 2i, 3i)) < vec4<i32>(${x.cols}i))`
}

function reduceColumns(e: Emission, w: TextWriter, node: ReduceNode): void {
  const { grid, subgroups } = e
  const { fn, x } = node
  const rows = rowCount(grid, node)
  for (let i = 0; i < rows; i++) {
    let part = operandAt(e, w, node, slotPlace(grid, i, 0))
    for (let j = 1; j < chunkCount(grid, x); j++) part = combine(fn, part, operandAt(e, w, node, slotPlace(grid, i, j)))
    const chunk = w.declare(part, 'part')
    const pairs = combine(fn, `${chunk}.xy`, `${chunk}.zw`)
    const pair = x.cols === 1 ? chunk : w.declare(pairs, 'part')
    const own = x.cols === 1 ? chunk : combine(fn, `${pair}.x`, `${pair}.y`)
    w.line(`var ${e.register(node, i, 0)} = ${own};`)
  }
  if (x.cols === 1 || grid.cols === 1) return
  if (subgroups) shuffleRows(e, w, node, rows, subgroups)
  const together = surelyTogether(grid, subgroups)
  if (together < grid.cols) joinRows(e, w, node, rows)
}

/** Exchanges between lanes of a subgroup; lanes at a distance that only some subgroups span are asked for at run time. */
function shuffleRows(e: Emission, w: TextWriter, node: ReduceNode, rows: number, subgroups: SubgroupSizes): void {
  for (let distance = 1; distance < Math.min(e.grid.cols, subgroups.max); distance *= 2) {
    const exchange = () => {
      for (let i = 0; i < rows; i++) {
        const name = e.register(node, i, 0)
        w.line(`${name} = ${combine(node.fn, name, `subgroupShuffleXor(${name}, ${distance}u)`)};`)
      }
    }
    if (distance < subgroups.min) exchange()
    else w.block(`if (row_lanes > ${distance}i)`, exchange)
  }
}

/** Joins the parts of a row through workgroup memory; with subgroups, the first lane of each brings one. */
function joinRows(e: Emission, w: TextWriter, node: ReduceNode, rows: number): void {
  const { grid, subgroups } = e
  const range = e.memory(node, 'parts')
  const chunksPerRow = Math.ceil(grid.cols / 4)
  const row = (i: number) => (node.rows === 1 ? 'thread_row' : `row${i}`)
  const join = () => {
    e.barriers.write(range, writeBarrier(w))
    const write = () => {
      const at = w.share(subgroups ? 'thread_col / row_lanes' : 'thread_col', 'at')
      for (let i = 0; i < rows; i++)
        w.line(
          `${range.array}[${range.from}i + ${row(i)} * ${chunksPerRow}i + (${at} >> 2u)][${at} & 3i] = ${toMemory(e.register(node, i, 0), node.dtype, 1)};`,
        )
    }
    if (subgroups) w.block('if (thread_col % row_lanes == 0i)', write)
    else write()
    e.barriers.read([range], writeBarrier(w))
    for (let i = 0; i < rows; i++) {
      const name = e.register(node, i, 0)
      const base = w.share(`${range.from}i + ${row(i)} * ${chunksPerRow}i`, 'at')
      if (subgroups || grid.cols < 4) {
        const parts = subgroups ? `${grid.cols}i / row_lanes` : `${grid.cols}i`
        w.line(`${name} = ${fromMemory(`${range.array}[${base}].x`, node.dtype, 1)};`)
        w.block(`for (var n = 1i; n < ${parts}; n++)`, () =>
          w.line(
            `${name} = ${combine(node.fn, name, fromMemory(`${range.array}[${base} + (n >> 2u)][n & 3i]`, node.dtype, 1))};`,
          ),
        )
        continue
      }
      const parts = Array.from({ length: chunksPerRow }, (_, n) =>
        w.declare(fromMemory(`${range.array}[${base} + ${n}i]`, node.dtype, 4), 'part'),
      )
      const chunk = w.declare(
        parts.reduce((a, b) => combine(node.fn, a, b)),
        'part',
      )
      const pair = w.declare(combine(node.fn, `${chunk}.xy`, `${chunk}.zw`), 'part')
      w.line(`${name} = ${combine(node.fn, `${pair}.x`, `${pair}.y`)};`)
    }
  }
  // with subgroups at least as long as the rows nothing is left to join
  join()
}

function reduceRows(e: Emission, w: TextWriter, node: ReduceNode): void {
  const { grid } = e
  const { fn, x } = node
  const chunks = chunkCount(grid, node)
  const width: Width = chunkWidth(x)
  for (let j = 0; j < chunks; j++) {
    let part = operandAt(e, w, node, slotPlace(grid, 0, j))
    for (let i = 1; i < rowCount(grid, x); i++) part = combine(fn, part, operandAt(e, w, node, slotPlace(grid, i, j)))
    w.line(`var ${e.register(node, 0, j)}: ${valueType(node.dtype, width)} = ${part};`)
  }
  if (grid.rows === 1 || x.rows === 1) return
  const range = e.memory(node, 'parts')
  const perRow = node.cols === 1 ? 1 : chunks * grid.cols
  const at = (row: string, j: number) =>
    `${range.array}[${range.from}i + ${row} * ${perRow}i + ${node.cols === 1 ? '0i' : `thread_col + ${j * grid.cols}i`}]`
  e.barriers.write(range, writeBarrier(w))
  const write = () => {
    for (let j = 0; j < chunks; j++)
      w.line(`${at('thread_row', j)} = ${widen(toMemory(e.register(node, 0, j), node.dtype, width), 'f32', width, 4)};`)
  }
  if (node.cols === 1 && grid.cols > 1) w.block('if (thread_col == 0i)', write)
  else write()
  e.barriers.read([range], writeBarrier(w))
  for (let j = 0; j < chunks; j++) {
    const name = e.register(node, 0, j)
    const part = (row: string) => {
      const chunk = at(row, j)
      return fromMemory(width === 1 ? component(chunk, 0) : chunk, node.dtype, width)
    }
    w.line(`${name} = ${part('0i')};`)
    w.block(`for (var n = 1i; n < ${grid.rows}i; n++)`, () => w.line(`${name} = ${combine(fn, name, part('n'))};`))
  }
}
