import { isScalar, type Node } from '../ir/index.ts'
import type { NodeUses } from './node-uses.ts'
import { chunkCount, chunkWidth, rowCount, type Shaped, type ThreadGrid } from './thread-grid.ts'
import type { WgslTuning } from './tuning.ts'

/** registers beyond which compilers start to spill, in values of 32 bits per invocation */
const comfortable = 144

/**
 * The grids of invocations that a program could run on, the one with the least estimated work first. A dot costs its multiply-adds and its reads
 * of workgroup memory, which larger micro-tiles share; other values cost their elements; short rows of invocations read
 * storage badly; too many registers or too few invocations hide no latency.
 */
export function candidateGrids(
  uses: NodeUses,
  isVirtual: (node: Node) => boolean,
  threadLimit: number,
  threadMultiple: number,
  tuning: WgslTuning,
): ThreadGrid[] {
  const held = [...uses.values, ...uses.loops.flatMap((loop) => [...loop.args])].filter(
    (node) => !isScalar(node) && !isVirtual(node),
  )
  const candidates: { grid: ThreadGrid; cost: number }[] = []
  for (let threads = threadMultiple; threads <= threadLimit; threads *= 2) {
    for (let cols = 1; cols <= threads; cols *= 2) {
      const grid = { rows: threads / cols, cols }
      if (tuning.threadRows !== undefined && tuning.threadRows !== grid.rows) continue
      if (tuning.threadCols !== undefined && tuning.threadCols !== grid.cols) continue
      candidates.push({ grid, cost: workgroupCost(grid, held, uses) })
    }
  }
  return candidates.sort((a, b) => a.cost - b.cost).map(({ grid }) => grid)
}

function workgroupCost(grid: ThreadGrid, held: readonly Node[], uses: NodeUses): number {
  const elements = (shape: Shaped) => rowCount(grid, shape) * chunkCount(grid, shape) * chunkWidth(shape)
  const threads = grid.rows * grid.cols
  let cost = 0
  let registers = 0
  let carried = 0
  for (const node of held) {
    const count = elements(node)
    if (node.op === 'dot') {
      const inner = node.transposeA ? node.a.rows : node.a.cols
      const [r, c] = [rowCount(grid, node), chunkCount(grid, node) * chunkWidth(node)]
      cost += inner * (r * c + 1.5 * (r + c))
      registers = Math.max(registers, r * c + 4 * r + 16)
    } else if (node.op === 'load') cost += count * Math.max(2, 16 / grid.cols)
    else if (node.op === 'reduce' || node.op === 'scan') cost += 4 * elements(node) * Math.log2(2 * grid.cols)
    else if (node.op !== 'arg') cost += count
  }
  for (const store of uses.stores) cost += elements(store) * Math.max(2, 16 / grid.cols)
  for (const loop of uses.loops)
    carried = Math.max(
      carried,
      loop.args.reduce((sum, arg) => sum + elements(arg), 0),
    )
  const spill = Math.max(0, (registers + carried) / comfortable - 1)
  // what is gathered over a loop without products waits for memory, and many that wait are better than few
  const gathers = carried > 0 && uses.dots.length === 0
  const small = threads < 128 ? (gathers ? 2 : 1.25) : 1
  return cost * threads * (1 + 2 * spill) * small
}
