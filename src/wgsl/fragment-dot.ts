import type { Node } from '../ir/index.ts'
import type { DotNode } from '../ir/node.ts'
import {
  blockRow,
  columnsHeld,
  type FragmentContext,
  fragment,
  idOf,
  leftMatrix,
  meet,
  resultMatrix,
  rightMatrix,
} from './fragment-context.ts'
import type { Exchange } from './fragment-layout.ts'
import type { Accumulator } from './fragment-roles.ts'
import type { Lowering } from './lowering.ts'
import { type Place, slotPlace } from './place.ts'
import { renderValue, renderWide } from './render-value.ts'

const components = ['x', 'y', 'z', 'w'] as const

/** The u32 index, in an exchange array, of row block i of this subgroup. */
function exchangeBase(c: FragmentContext, exchange: Exchange, i: number): string {
  const { M } = c.layout.distribution.config
  const block = exchange.rows > M ? i * M * exchange.stride : 0
  const own = `subgroup * ${exchange.rows * exchange.stride}u`
  return c.w.share(block ? `${own} + ${block}u` : own, 'own')
}

/** The u32 index of this lane's first element of chunk j, in columns that begin at the exchange's first. */
function laneElement(c: FragmentContext, exchange: Exchange, i: number, j: number): string {
  const { lanesPerRow } = c.layout.distribution.config
  const base = exchangeBase(c, exchange, i)
  return c.w.share(`${base} + lane_row * ${exchange.stride}u + lane_col * 4u + ${4 * j * lanesPerRow}u`, 'mine')
}

/** Lanes of block i put the chunks `value(j)` (vec4<f32>) where left fragments are loaded from. */
function writeLefts(c: FragmentContext, i: number, chunks: number, value: (j: number) => string): void {
  const { lefts } = c.layout
  if (!lefts) throw new Error('fragment lowering: no room was planned for left operands')
  for (let j = 0; j < chunks; j++) {
    const to = laneElement(c, lefts, i, j)
    const x = c.w.declare(`vec4<f16>(${value(j)})`, 'p')
    components.forEach((part, at) => {
      c.w.line(`lefts[${to} + ${at}u] = ${x}.${part};`)
    })
  }
}

function loadLeft(c: FragmentContext, i: number, kk: number): string {
  const { lefts, distribution } = c.layout
  const exchange = lefts as Exchange
  const from = exchangeBase(c, exchange, i)
  return `subgroupMatrixLoad<${leftMatrix}, row_major>(&lefts, ${from} + ${kk * distribution.config.K}u, ${exchange.stride}u)`
}

/** Names of the fragments of a left operand that is kept over a loop. */
function heldName(c: FragmentContext, node: Node, i: number, kk: number): string {
  return `held${idOf(c, node)}_${i}_${kk}`
}

/** Brings a left operand into fragments, where it stays: a few columns at a time through workgroup memory. */
export function holdLeft(c: FragmentContext, node: Node): void {
  const { w, layout, roles } = c
  const l: Lowering = { ...c.l, isVirtual: (x) => c.l.isVirtual(x) || roles.late.has(x) }
  const { config, blocks, rows } = layout.distribution
  const width = (layout.lefts as Exchange).cols
  const perChunk = 4 * config.lanesPerRow
  for (let i = 0; i < blocks; i++)
    for (let start = 0; start < node.cols; start += width) {
      const cols = Math.min(width, node.cols - start)
      meet(c)
      w.block('', () =>
        writeLefts(c, i, cols / perChunk, (j) => {
          const col = w.share(`col0 + ${start + j * perChunk}i`, 'col')
          const slot = { i, j: start / perChunk + j }
          const place: Place = { row: `row${i}`, col, width: 4, rowEnd: rows, colEnd: node.cols, slot }
          return renderWide(l, w, node, place, 4)
        }),
      )
      meet(c)
      for (let kk = 0; kk < cols / config.K; kk++)
        w.line(`let ${heldName(c, node, i, start / config.K + kk)} = ${loadLeft(c, i, kk)};`)
    }
}

/** into[i][n] += a · b, the matrices `into` being variables. */
function multiply(c: FragmentContext, dot: DotNode, into: string): void {
  const { w, layout, roles } = c
  const { config, blocks } = layout.distribution
  const home = roles.leftHome.get(dot)
  const depth = (dot.transposeA ? dot.a.rows : dot.a.cols) / config.K
  const ready = home === 'lanes' ? leftsFromLanes(c, dot, depth) : null
  for (let kk = 0; kk < depth; kk++)
    w.block('', () => {
      const lefts: string[] = []
      for (let i = 0; i < blocks; i++)
        lefts.push(
          ready?.[i]?.[kk] ??
            (home === 'held' ? heldName(c, dot.a, i, kk) : w.declare(loadStagedLeft(c, dot, i, kk), 'a')),
        )
      for (let n = 0; n < columnsHeld(c, dot.cols) / config.N; n++) {
        const right = w.declare(loadRight(c, dot, kk, n), 'b')
        lefts.forEach((left, i) => {
          const sum = fragment(into, i, n)
          w.line(`${sum} = subgroupMatrixMultiplyAccumulate(${left}, ${right}, ${sum});`)
        })
      }
    })
}

/** Fragments [block][depth] of a left operand that the lanes of its rows hold. */
function leftsFromLanes(c: FragmentContext, dot: DotNode, depth: number): string[][] {
  const { w, l } = c
  const { config, blocks } = c.layout.distribution
  const write = (i: number) =>
    w.block('', () =>
      writeLefts(c, i, dot.a.cols / (4 * config.lanesPerRow), (j) =>
        renderWide(l, w, dot.a, slotPlace(l.grid, i, j), 4),
      ),
    )
  const load = (i: number) => Array.from({ length: depth }, (_, kk) => w.declare(loadLeft(c, i, kk), 'a'))
  const all = Array.from({ length: blocks }, (_, i) => i)
  meet(c)
  if (c.inStep)
    return all.map((i) => {
      write(i)
      return load(i)
    })
  all.forEach(write)
  meet(c)
  return all.map(load)
}

function loadStagedLeft(c: FragmentContext, dot: DotNode, i: number, kk: number): string {
  const { staged, distribution } = c.layout
  const tile = staged.get(dot.a)
  if (!tile) throw new Error('fragment lowering: a left operand was not staged')
  const { K } = distribution.config
  const [order, from] = dot.transposeA
    ? ['col_major', `${kk * K * tile.stride}u + u32(${blockRow(c, i)})`]
    : ['row_major', `u32(${blockRow(c, i)}) * ${tile.stride}u + ${kk * K}u`]
  return `subgroupMatrixLoad<${leftMatrix}, ${order}>(&${tile.name}, ${c.w.share(from, 'from')}, ${tile.stride}u)`
}

function loadRight(c: FragmentContext, dot: DotNode, kk: number, n: number): string {
  const { staged, distribution } = c.layout
  const tile = staged.get(dot.b)
  if (!tile) throw new Error('fragment lowering: a right operand was not staged')
  const { config, groupCols } = distribution
  const { N, K } = config
  const share = columnsHeld(c, dot.cols) * (dot.transposeB ? tile.stride : 1)
  const own = groupCols > 1 ? `group_col * ${share}u + ` : ''
  const from = dot.transposeB ? n * N * tile.stride + kk * K : kk * K * tile.stride + n * N
  const order = dot.transposeB ? 'col_major' : 'row_major'
  return `subgroupMatrixLoad<${rightMatrix}, ${order}>(&${tile.name}, ${own}${from}u, ${tile.stride}u)`
}

/** A product on its own: its value goes to the lanes of its rows. */
export function emitDot(c: FragmentContext, dot: DotNode): void {
  const { w, layout, l } = c
  const { config, blocks } = layout.distribution
  const name = `product${idOf(c, dot)}`
  for (let i = 0; i < blocks; i++)
    for (let n = 0; n < dot.cols / config.N; n++) w.line(`var ${fragment(name, i, n)} = ${resultMatrix}();`)
  multiply(c, dot, name)
  const put = (i: number) => storeResults(c, name, i, 0, dot.cols / config.N)
  const take = (i: number) => {
    for (let j = 0; j < dot.cols / (4 * config.lanesPerRow); j++)
      w.line(`let ${l.register(dot, i, j)} = ${readResults(c, i, j)};`)
  }
  const all = Array.from({ length: blocks }, (_, i) => i)
  if (c.inStep) {
    for (const i of all) {
      put(i)
      take(i)
    }
    return
  }
  meet(c)
  all.forEach(put)
  meet(c)
  all.forEach(take)
}

/** Puts matrices n … n + count − 1 of block i where lanes can read them. */
export function storeResults(c: FragmentContext, name: string, i: number, n: number, count: number): void {
  const { results, distribution } = c.layout
  const base = exchangeBase(c, results, i)
  for (let at = 0; at < count; at++)
    c.w.line(
      `subgroupMatrixStore<row_major>(&results, ${base} + ${at * distribution.config.N}u, ${fragment(name, i, n + at)}, ${results.stride}u);`,
    )
}

/** What this lane holds of chunk j of block i. */
export function readResults(c: FragmentContext, i: number, j: number): string {
  const from = laneElement(c, c.layout.results, i, j)
  return `vec4<f32>(${components.map((_, at) => `results[${from} + ${at}u]`).join(', ')})`
}

/** accumulator += a · b */
export function accumulate(c: FragmentContext, accumulator: Accumulator, dot: DotNode): void {
  multiply(c, dot, accumulator.name)
}

/** accumulator *= factor of its row, skipped when every factor is 1 */
export function rescale(c: FragmentContext, accumulator: Accumulator, by: Node): void {
  const { w, l, layout } = c
  const { blocks, groupRows, groupCols } = layout.distribution
  const factors = Array.from({ length: blocks }, (_, i) =>
    w.share(renderValue(l, w, by, slotPlace(l.grid, i, 0)), 'factor'),
  )
  // e^x is 1 where x is 0, which is known sooner
  const exponent = by.op === 'unary' && (by.fn === 'exp' || by.fn === 'exp2') ? by.x : null
  const moves = factors.map((factor, i) =>
    exponent ? `${renderValue(l, w, exponent, slotPlace(l.grid, i, 0))} != 0f` : `${factor} != 1f`,
  )
  const body = (i: number) => scaleBlock(c, accumulator, i, factors[i] as string)
  if (c.inStep) {
    moves.forEach((moved, i) => {
      w.block(`if (subgroupAny(${moved}))`, () => body(i))
    })
    return
  }
  // barriers need the whole workgroup to agree
  const subgroups = groupRows * groupCols
  const mine = w.declare(`subgroupAny(${[...new Set(moves)].join(' || ')})`, 'moved')
  // a driver may drop the barriers of a workgroup of one subgroup, so that there each invocation reads what it wrote itself
  w.block(subgroups === 1 ? '' : 'if (lane == 0u)', () => w.line(`votes[subgroup] = select(0u, 1u, ${mine});`))
  const votes = w.declare('workgroupUniformLoad(&votes)', 'votes')
  const all = Array.from({ length: subgroups }, (_, at) => `${votes}[${at}]`).join(' | ')
  w.block(`if ((${all}) != 0u)`, () => {
    for (let i = 0; i < blocks; i++) body(i)
  })
}

function scaleBlock(c: FragmentContext, accumulator: Accumulator, i: number, factor: string): void {
  const { w, layout } = c
  const { N, lanesPerRow } = layout.distribution.config
  const { results } = layout
  const total = columnsHeld(c, accumulator.cols) / N
  const step = results.cols / N
  for (let n = 0; n < total; n += step) {
    const count = Math.min(step, total - n)
    meet(c)
    storeResults(c, accumulator.name, i, n, count)
    meet(c)
    const chunks = Array.from({ length: (count * N) / (4 * lanesPerRow) }, (_, j) =>
      w.declare(`${readResults(c, i, j)} * ${factor}`, 'scaled'),
    )
    chunks.forEach((chunk, j) => {
      const at = laneElement(c, results, i, j)
      components.forEach((part, of) => {
        w.line(`results[${at} + ${of}u] = ${chunk}.${part};`)
      })
    })
    meet(c)
    const base = exchangeBase(c, results, i)
    for (let k = 0; k < count; k++)
      w.line(
        `${fragment(accumulator.name, i, n + k)} = subgroupMatrixLoad<${resultMatrix}, row_major>(&results, ${base} + ${k * N}u, ${results.stride}u);`,
      )
  }
}
