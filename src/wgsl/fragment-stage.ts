import { indexForm, isScalar, type Node, operands } from '../ir/index.ts'
import type { LoopNode } from '../ir/node.ts'
import { accessForm } from './access-form.ts'
import type { FragmentContext } from './fragment-context.ts'
import type { StagedTile } from './fragment-layout.ts'
import type { Lowering } from './lowering.ts'
import type { NodeUses } from './node-uses.ts'
import type { Place } from './place.ts'
import { renderAccess } from './render-load.ts'
import { renderValue, renderWide } from './render-value.ts'
import { isElementWise } from './virtual-values.ts'
import { wideHalves } from './wide-halves.ts'

/** Elements moved at once: 16 bytes of f16. */
const run = 8

/** How many runs of a tile each invocation moves. */
export function runsEach(c: FragmentContext, tile: StagedTile): number {
  return Math.ceil((tile.rows * tile.cols) / run / c.layout.distribution.invocations)
}

/** Can a tile's elements of the next round be read ahead? They must depend on the loop's index alone. */
export function canPrefetch(uses: NodeUses, tile: Node, loop: LoopNode): boolean {
  const seen = new Set<Node>()
  const free = (node: Node): boolean => {
    if (seen.has(node)) return true
    seen.add(node)
    if (node.op === 'arg') return node === loop.index || !uses.loopsOf(node).includes(loop)
    if (node.op === 'result') return !uses.loopsOf(node).includes(loop)
    return operands(node).every(free)
  }
  return free(tile)
}

/** A lowering in which the loop's index is `index`; tiles, and what is computed in the loop, are computed from coordinates. */
export function lookingAt(c: FragmentContext, loop: LoopNode, index: string): Lowering {
  return {
    ...c.l,
    isVirtual: (node) =>
      c.l.isVirtual(node) || (isElementWise(node) && (!isScalar(node) || c.uses.loopsOf(node).includes(loop))),
    register: (node, i, j) => (node === loop.index ? index : c.l.register(node, i, j)),
  }
}

/** A lowering in which tiles and vectors are computed from coordinates, whatever rows an invocation holds. */
export function fromCoordinates(c: FragmentContext): Lowering {
  return { ...c.l, isVirtual: (node) => c.l.isVirtual(node) || (isElementWise(node) && !isScalar(node)) }
}

/**
 * Reads this invocation's runs of a tile into the variables `name`0, `name`1 … (vec4<u32>). What lies outside the tensor is
 * read at its end, and made 0 only when it is written: a branch around a read, or an operation on its result, would wait.
 */
export function readRuns(c: FragmentContext, l: Lowering, tile: StagedTile, name: string): void {
  for (let at = 0; at < runsEach(c, tile); at++) readRun(c, l, tile, at, `${name}${at}`)
}

/** A scalar condition under which all that is read for a tile lies in its tensor; null when there is none so simple. */
function tileInside(c: FragmentContext, l: Lowering, tile: StagedTile): string | null {
  const { node } = tile
  if (node.op !== 'load' || node.where || !isWide(c, l, node)) return null
  const place = placeOf(c, tile, '0i', '0i')
  const conditions: string[] = []
  for (const [dim, index] of node.indices.entries()) {
    const form = indexForm(index)
    if (form.kind === 'general') return null
    const size = l.args.size(node.tensor, dim)
    const extent = form.kind === 'uniform' ? 1 : form.axis === 'rows' ? place.rowEnd : place.colEnd
    const known = node.tensor.sizes[dim]
    if (
      form.base.op === 'const' &&
      typeof known === 'number' &&
      form.base.value >= 0 &&
      form.base.value + extent <= known
    )
      continue
    const base = c.w.share(renderValue(l, c.w, form.base, { ...place, width: 1 }), 'first')
    conditions.push(`${base} >= 0i && ${base} <= ${size} - ${extent}i`)
  }
  return conditions.length ? c.w.share(conditions.join(' && '), 'inside') : 'true'
}

/** Writes the variables to workgroup memory; `l` looks at the round that they were read for. */
export function writeRuns(c: FragmentContext, l: Lowering, tile: StagedTile, name: string): void {
  const { w } = c
  const total = (tile.rows * tile.cols) / run
  const { invocations } = c.layout.distribution
  cutRuns(c, l, tile, name)
  for (let at = 0; at < runsEach(c, tile); at++) {
    const { row, col } = position(c, tile, at)
    const write = () => {
      const first = w.share(`u32(${row} * ${tile.stride}i + ${col})`, 'to')
      for (let pair = 0; pair < run / 2; pair++) {
        const halves = w.declare(`bitcast<vec2<f16>>(${name}${at}[${pair}])`, 'h')
        w.line(`${tile.name}[${first} + ${2 * pair}u] = ${halves}.x;`)
        w.line(`${tile.name}[${first} + ${2 * pair + 1}u] = ${halves}.y;`)
      }
    }
    if ((at + 1) * invocations > total) w.block(`if (local_index + ${at * invocations}u < ${total}u)`, write)
    else w.block('', write)
  }
}

/** Makes 0 what lies outside the tensor. */
function cutRuns(c: FragmentContext, l: Lowering, tile: StagedTile, name: string): void {
  const { w } = c
  const { node } = tile
  if (node.op !== 'load' || !isWide(c, l, node)) return
  const inside = tileInside(c, l, tile)
  if (inside === 'true') return
  const cut = () => {
    for (let at = 0; at < runsEach(c, tile); at++) cutRun(c, l, tile, at, `${name}${at}`)
  }
  const size = node.tensor.sizes.at(-1)
  // a few selects cost less than a branch; where runs may cross the end of a row there are more of them
  if (inside && !(typeof size === 'number' && size % run === 0)) w.block(`if (!(${inside}))`, cut)
  else w.block('', cut)
}

function cutRun(c: FragmentContext, l: Lowering, tile: StagedTile, at: number, name: string): void {
  const { w } = c
  const wide = wideAccess(c, l, tile, at)
  if (!wide) return
  const { node, ok, col, place } = wide
  if (ok) w.line(`${name} = select(vec4<u32>(), ${name}, ${ok});`)
  const size = node.tensor.sizes.at(-1)
  if (typeof size === 'number' && size % run === 0) return
  // a run that crosses the end of a row
  const last = l.args.size(node.tensor, node.tensor.sizes.length - 1)
  const form = indexForm(node.indices.at(-1) as Node)
  const start = form.kind === 'range' ? renderValue(l, w, form.base, place) : '0i'
  const room = w.declare(`${last} - (${start} + ${col})`, 'room')
  const words = [0, 1, 2, 3].map(
    (pair) => `select(0u, 0xffffu, ${2 * pair}i < ${room}) | select(0u, 0xffff0000u, ${2 * pair + 1}i < ${room})`,
  )
  w.line(`${name} &= vec4<u32>(${words.join(', ')});`)
}

export function declareRuns(c: FragmentContext, tile: StagedTile, name: string): void {
  for (let at = 0; at < runsEach(c, tile); at++) c.w.line(`var ${name}${at}: vec4<u32>;`)
}

/** Row and first column of run number `at` of this invocation. */
function position(c: FragmentContext, tile: StagedTile, at: number): { row: string; col: string } {
  const { w } = c
  const perRow = tile.cols / run
  const { invocations } = c.layout.distribution
  const perPass = (invocations * run) / tile.cols
  // where a pass over the tile is a number of whole rows, runs differ in the row alone
  const whole = at > 0 && Number.isInteger(perPass)
  const number = at && !whole ? w.share(`local_index + ${at * invocations}u`, 'run') : 'local_index'
  // unsigned: a division of what might be negative takes more steps
  const row = w.share(`i32(${number} / ${perRow}u)`, 'row')
  const col = w.share(`i32((${number} % ${perRow}u) * ${run}u)`, 'col')
  return { row: whole ? `(${row} + ${at * perPass}i)` : row, col }
}

interface WideAccess {
  readonly node: Extract<Node, { op: 'load' }>
  readonly place: Place
  readonly col: string
  readonly address: string
  /** condition under which the run's first element is inside; null: always */
  readonly ok: string | null
}

/** Where a run lies in its tensor, when it is one aligned read; null when it must be put together. */
function wideAccess(c: FragmentContext, l: Lowering, tile: StagedTile, at: number): WideAccess | null {
  const { node } = tile
  if (node.op !== 'load' || !isWide(c, l, node)) return null
  const { row, col } = position(c, tile, at)
  const place = placeOf(c, tile, row, col)
  const { address, condition, mask } = renderAccess(l, c.w, node, place, renderValue)
  // rows begin at multiples of a run, and so does what follows them: a run that begins inside may be read to its end
  const ok = [condition, mask && `${mask}.x`].filter((part) => part !== null)
  return { node, place, col, address, ok: ok.length ? c.w.share(ok.join(' && '), 'ok') : null }
}

function placeOf(c: FragmentContext, tile: StagedTile, row: string, col: string): Place {
  // the last runs may lie beyond the tile: they are read, inside the tensor, and not kept
  const rowEnd = Math.ceil((runsEach(c, tile) * c.layout.distribution.invocations * run) / tile.cols)
  return { row, col, width: 4, rowEnd, colEnd: tile.cols, slot: null }
}

function readRun(c: FragmentContext, l: Lowering, tile: StagedTile, at: number, target: string): void {
  const { w } = c
  const wide = wideAccess(c, l, tile, at)
  if (wide) {
    const { buffer } = l.bound(wide.node.tensor)
    const end = w.share(`arrayLength(&${buffer}) - 1u`, 'end')
    w.line(`${target} = ${buffer}[min(u32(${wide.address}) >> 3u, ${end})];`)
    return
  }
  const { row, col } = position(c, tile, at)
  const next = w.share(`${col} + 4i`, 'col')
  w.block('', () => {
    const parts = [col, next].map((first) => {
      const chunk = w.declare(renderWide(l, w, tile.node, placeOf(c, tile, row, first), 4), 'x')
      return w.declare(`bitcast<vec2<u32>>(vec4<f16>(${chunk}))`, 'bits')
    })
    w.line(`${target} = vec4<u32>(${parts.join(', ')});`)
  })
}

/** Is a load one aligned 16-byte read wherever a run of eight columns begins? */
function isWide(c: FragmentContext, l: Lowering, node: Extract<Node, { op: 'load' }>): boolean {
  const { tensor, indices, where } = node
  const last = indices.at(-1)
  if (!last || l.bound(tensor).format.declared !== wideHalves.declared) return false
  const form = indexForm(last)
  if (!accessForm(tensor, indices).contiguous || form.kind !== 'range') return false
  return (where === null || where.cols === 1) && isMultiple(c.uses, form.base, run)
}

/** Is a scalar a multiple of n wherever the program runs? */
function isMultiple(uses: NodeUses, node: Node, n: number): boolean {
  if (!isScalar(node)) return false
  if (node.op === 'const') return node.value % n === 0
  if (node.op === 'arg') {
    const loop = uses.loopsOf(node).at(-1)
    return loop !== undefined && loop.index === node && loop.step % n === 0 && isMultiple(uses, loop.from, n)
  }
  if (node.op !== 'binary') return false
  if (node.fn === 'add' || node.fn === 'sub') return isMultiple(uses, node.a, n) && isMultiple(uses, node.b, n)
  return node.fn === 'mul' && (isMultiple(uses, node.a, n) || isMultiple(uses, node.b, n))
}
