import type { Node } from '../ir/index.ts'
import type { DotNode, LoadNode, LoopNode } from '../ir/node.ts'
import type { WgslCapabilities } from './capabilities.ts'
import type { FragmentConfig, Unsupported } from './fragment-config.ts'
import type { FragmentRoles } from './fragment-roles.ts'
import type { NodeUses } from './node-uses.ts'

/**
 * How products are dealt out: the subgroups form a grid of groupRows × groupCols. Of a result, subgroup (r, c) holds the row
 * blocks r, r + groupRows, … (`blocks` of them, M rows each) and, when groupCols > 1, its share of the columns.
 */
export interface Distribution {
  readonly config: FragmentConfig
  readonly rows: number
  readonly groupRows: number
  readonly groupCols: number
  readonly blocks: number
  readonly invocations: number
}

/** An operand tile in workgroup memory: rows padded so that eight of them meet no bank twice. */
export interface StagedTile {
  readonly name: string
  readonly node: Node
  readonly rows: number
  readonly cols: number
  /** elements from one row to the next */
  readonly stride: number
}

/**
 * A column vector [1, n] that is read from a tensor in a loop: each invocation reads one element of the next round ahead and
 * puts it into workgroup memory, where all lanes find it. Read where it is needed, every lane would wait for every element.
 */
export interface StagedColumns {
  readonly name: string
  readonly node: LoadNode
  readonly loop: LoopNode
}

/** Per subgroup: `rows` rows of `stride` elements through which fragments and lanes exchange values. */
export interface Exchange {
  readonly cols: number
  readonly rows: number
  readonly stride: number
}

export interface FragmentLayout {
  readonly distribution: Distribution
  readonly staged: ReadonlyMap<Node, StagedTile>
  readonly columns: ReadonlyMap<Node, StagedColumns>
  /** f32: results on their way to lanes and back */
  readonly results: Exchange
  /** f16: left operands on their way to fragments */
  readonly lefts: Exchange | null
  readonly bytes: number
}

const registersForFragments = 200
const padding = 8

/** Deals a program's products out and lays its workgroup memory out. */
export function fragmentLayout(
  config: FragmentConfig,
  capabilities: WgslCapabilities,
  uses: NodeUses,
  roles: FragmentRoles,
  columns: ReadonlyMap<Node, StagedColumns>,
  inStep: boolean,
): FragmentLayout | Unsupported {
  const { M, N, K, lanesPerRow } = config
  const first = uses.dots[0]
  if (!first) return { unsupported: 'the program has no dot' }
  const rows = first.rows
  for (const dot of uses.dots) {
    if (dot.rows !== rows) return { unsupported: `products of ${rows} and of ${dot.rows} rows` }
    const depth = dot.transposeA ? dot.a.rows : dot.a.cols
    if (rows % M || dot.cols % N || depth % K)
      return {
        unsupported: `a product [${rows}, ${depth}] · [${depth}, ${dot.cols}] is no multiple of ${M}×${N}×${K} matrices`,
      }
  }
  const distribution = distribute(config, capabilities, uses, roles, rows)
  const unit = Math.max(N, 4 * lanesPerRow)
  // results that lanes read whole
  const whole = uses.dots.filter((dot) => !roles.absorbed.has(dot))
  const share = (cols: number) => cols / distribution.groupCols
  for (const width of [...whole.map((dot) => dot.cols), ...[...roles.accumulators.values()].map((a) => share(a.cols))])
    if (width % unit) return { unsupported: `results of ${width} columns are dealt to lanes in units of ${unit}` }
  // blocks pass one after the other where that needs no barriers
  const exchanged = inStep ? M : M * distribution.blocks
  const resultCols = Math.max(unit, ...whole.map((dot) => dot.cols))
  const results: Exchange = { cols: resultCols, rows: whole.length ? exchanged : M, stride: resultCols + padding }

  const depths = uses.dots.filter((dot) => roles.leftHome.get(dot) === 'lanes').map((dot) => dot.a.cols)
  const held = uses.dots.some((dot) => roles.leftHome.get(dot) === 'held')
  const leftUnit = Math.max(K, 4 * lanesPerRow)
  for (const dot of uses.dots)
    if (roles.leftHome.get(dot) !== 'staged' && dot.a.cols % leftUnit)
      return { unsupported: `left operands of ${dot.a.cols} columns are dealt to lanes in units of ${leftUnit}` }
  const leftCols = Math.max(0, ...depths, held ? leftUnit : 0)
  const lefts = leftCols ? { cols: leftCols, rows: exchanged, stride: leftCols + padding } : null

  const staged = new Map<Node, StagedTile>()
  const stage = (node: Node) => {
    if (staged.has(node)) return
    staged.set(node, {
      name: `stage${staged.size}`,
      node,
      rows: node.rows,
      cols: node.cols,
      stride: node.cols + padding,
    })
  }
  for (const dot of uses.dots) {
    if (roles.leftHome.get(dot) === 'staged') stage(dot.a)
    stage(dot.b)
  }
  for (const tile of staged.values())
    if (tile.cols % 8) return { unsupported: `a staged tile of ${tile.cols} columns (a multiple of 8 is needed)` }
  const subgroups = distribution.groupRows * distribution.groupCols
  // seen to go wrong on an NVIDIA H200, whose subgroups run in step; its driver treats the barriers of small workgroups apart
  if (!inStep && subgroups < 4)
    return { unsupported: `${subgroups} subgroups in a workgroup, with barriers between their lanes` }
  let bytes = subgroups * results.rows * results.stride * 4 + subgroups * (lefts ? lefts.rows * lefts.stride : 0) * 2
  for (const tile of staged.values()) bytes += tile.rows * tile.stride * 2
  for (const { node } of columns.values()) bytes += node.cols * 4
  if (bytes > capabilities.maxWorkgroupBytes)
    return { unsupported: `${bytes} bytes of workgroup memory, the device has ${capabilities.maxWorkgroupBytes}` }
  return { distribution, staged, columns, results, lefts, bytes }
}

/** Rows go to subgroups; columns too when no row is ever looked at as a whole. */
function distribute(
  config: FragmentConfig,
  capabilities: WgslCapabilities,
  uses: NodeUses,
  roles: FragmentRoles,
  rows: number,
): Distribution {
  const { M, N, K, subgroupSize } = config
  const rowBlocks = rows / M
  const most = Math.floor(capabilities.maxInvocations / subgroupSize)
  const free =
    uses.dots.every((dot) => roles.absorbed.has(dot) && roles.leftHome.get(dot) === 'staged') &&
    new Set(uses.dots.map((dot) => dot.cols)).size === 1
  let blocks: number
  let groupCols = 1
  if (free) {
    const colBlocks = (uses.dots[0] as DotNode).cols / N
    const perSubgroup = largestDivisor(colBlocks, 4)
    groupCols = colBlocks / perSubgroup
    // half the rows when few subgroups would be left to hide each other's waits
    blocks = largestDivisor(rowBlocks, groupCols * (rowBlocks / largestDivisor(rowBlocks, 4)) < 8 ? 2 : 4)
  } else {
    // per row block: 8 bytes a lane for each f32 matrix, 4 for each f16 one
    const perMatrix = (M * N) / subgroupSize
    const lefts = new Set([...roles.leftHome].flatMap(([dot, home]) => (home === 'held' ? [dot.a] : [])))
    const held = [...lefts].reduce((sum, left) => sum + left.cols / K, 0)
    const sums = [...new Set(roles.accumulators.values())].reduce((sum, a) => sum + a.cols / N, 0)
    const registers = perMatrix * sums + (perMatrix / 2) * held
    blocks = rowBlocks >= 8 && 2 * registers <= registersForFragments ? 2 : 1
    if (rowBlocks % blocks) blocks = 1
  }
  while ((rowBlocks / blocks) * groupCols > most && blocks < rowBlocks) blocks = nextDivisor(rowBlocks, blocks)
  const groupRows = rowBlocks / blocks
  return { config, rows, groupRows, groupCols, blocks, invocations: groupRows * groupCols * subgroupSize }
}

function largestDivisor(n: number, most: number): number {
  for (let d = Math.min(n, most); d > 1; d--) if (n % d === 0) return d
  return 1
}

function nextDivisor(n: number, above: number): number {
  for (let d = above + 1; d <= n; d++) if (n % d === 0) return d
  return n
}
