import { isScalar, type Node, operands } from '../ir/index.ts'
import type { DotNode, LoopNode } from '../ir/node.ts'
import type { Region } from '../ir/schedule.ts'
import { declareColumnReads, readColumns, takeColumns, writeColumns } from './fragment-columns.ts'
import { columnsHeld, type FragmentContext, fragment, idOf, resultMatrix } from './fragment-context.ts'
import { accumulate, emitDot, holdLeft, rescale } from './fragment-dot.ts'
import {
  acrossLanes,
  emitElementwise,
  emitFragmentReduce,
  emitUniformSelect,
  isUniformSelect,
  regionBranches,
} from './fragment-lanes.ts'
import type { StagedTile } from './fragment-layout.ts'
import { canPrefetch, declareRuns, fromCoordinates, lookingAt, readRuns, writeRuns } from './fragment-stage.ts'
import { emitFragmentStore } from './fragment-store.ts'
import { slotPlace } from './place.ts'
import { renderValue, renderWide } from './render-value.ts'
import { forEachSlot } from './thread-grid.ts'
import { literal, valueType } from './value-type.ts'

/** Writes the statements of a region; `loop` is the one whose body it is. */
export function emitFragmentRegion(c: FragmentContext, region: Region, loop: LoopNode | null): void {
  const { layout } = c
  const branches = regionBranches(c, region)
  const scaled = new Set<Node>()
  // a scaling is done as soon as its factor is known: little else is alive then
  const scaleBy = (factor: Node) => {
    for (const user of c.uses.users(factor)) {
      const step = c.roles.steps.get(user)
      const accumulator = c.roles.accumulators.get(user)
      if (
        step?.kind !== 'scale' ||
        step.by !== factor ||
        !accumulator ||
        !region.statements.some((s) => s.kind === 'value' && s.node === user)
      )
        continue
      const tile = user.op === 'binary' && user.a === factor ? user.b : user.op === 'binary' ? user.a : user
      if (c.roles.steps.has(tile) || scaled.has(user)) continue
      scaled.add(user)
      rescale(c, accumulator, factor)
    }
  }
  const emit = (node: Node) => {
    const step = c.roles.steps.get(node)
    const accumulator = step && c.roles.accumulators.get(node)
    if (step && accumulator) {
      if (step.kind === 'scale') {
        if (!scaled.has(node)) rescale(c, accumulator, step.by)
      } else accumulate(c, accumulator, step.dot)
    } else if (c.l.isVirtual(node)) prepareOperand(c, node, loop)
    else if (c.roles.absorbed.has(node) || c.roles.late.has(node)) return
    else if (node.op === 'dot') emitDot(c, node)
    else if (node.op === 'reduce') emitFragmentReduce(c, node)
    else if (isUniformSelect(node) && !isScalar(node)) emitUniformSelect(c, node, branches, emit)
    else {
      const columns = layout.columns.get(node)
      if (columns) takeColumns(c, columns)
      else emitElementwise(c, node)
      scaleBy(node)
    }
  }
  for (const statement of region.statements) {
    if (statement.kind === 'loop') emitLoop(c, statement.loop, statement.body)
    else if (statement.kind === 'store') emitFragmentStore(c, statement.store)
    else if (!branches.deferred.has(statement.node)) emit(statement.node)
  }
}

/** Operands that do not change in the loops around their products are brought to their place where they are computed. */
function prepareOperand(c: FragmentContext, node: Node, region: LoopNode | null): void {
  const dots = c.uses.users(node).filter((user): user is DotNode => user.op === 'dot')
  if (dots.some((dot) => dot.a === node && c.roles.leftHome.get(dot) === 'held')) holdLeft(c, node)
  const tile = c.layout.staged.get(node)
  if (!tile || stagedInLoop(c, tile, region)) return
  const [l, name] = [fromCoordinates(c), tile.name.replace('stage', 'run')]
  declareRuns(c, tile, name)
  readRuns(c, l, tile, name)
  c.w.line('workgroupBarrier();')
  writeRuns(c, l, tile, name)
  c.w.line('workgroupBarrier();')
}

/** Is a tile computed in this loop, so that each round stages it before anything else? */
function stagedInLoop(c: FragmentContext, tile: StagedTile, loop: LoopNode | null): boolean {
  return loop !== null && c.uses.loopsOf(tile.node).at(-1) === loop
}

function emitLoop(c: FragmentContext, loop: LoopNode, body: Region): void {
  const { l, w, layout, roles } = c
  const scalar = slotPlace(l.grid, 0, 0)
  for (const accumulator of new Set(roles.accumulators.values())) {
    if (accumulator.loop !== loop) continue
    const fill = accumulator.fill === 0 ? '' : literal(accumulator.fill, 'f32')
    for (let i = 0; i < layout.distribution.blocks; i++)
      for (let n = 0; n < columnsHeld(c, accumulator.cols) / layout.distribution.config.N; n++)
        w.line(`var ${fragment(accumulator.name, i, n)} = ${resultMatrix}(${fill});`)
  }
  const carried = loop.args.flatMap((arg, at) => (roles.accumulators.has(arg) ? [] : [{ arg, at }]))
  const variable = (arg: Node, i: number, j: number) => `${l.register(arg, i, j)}_c`
  for (const { arg, at } of carried)
    forEachSlot(l.grid, arg, (i, j) => {
      const init = renderWide(l, w, loop.inits[at] as Node, slotPlace(l.grid, i, j), arg.cols === 1 ? 1 : 4)
      w.line(`var ${variable(arg, i, j)}: ${valueType(arg.dtype, arg.cols === 1 ? 1 : 4)} = ${init};`)
    })
  const from = w.declare(renderValue(l, w, loop.from, scalar), 'from')
  const to = w.declare(renderValue(l, w, loop.to, scalar), 'to')

  const tiles = [...layout.staged.values()].filter((tile) => stagedInLoop(c, tile, loop))
  const ahead = tiles.filter((tile) => canPrefetch(c.uses, tile.node, loop))
  const runs = (tile: StagedTile) => tile.name.replace('stage', 'run')
  const columns = [...layout.columns.values()].filter((each) => each.loop === loop)
  for (const tile of ahead) declareRuns(c, tile, runs(tile))
  for (const each of columns) declareColumnReads(c, each)
  const readAhead = (index: string) => {
    for (const each of columns) readColumns(c, lookingAt(c, loop, index), each)
    for (const tile of ahead) readRuns(c, lookingAt(c, loop, index), tile, runs(tile))
  }
  if (ahead.length || columns.length)
    w.block(`if (${from} < ${to})`, () => {
      readAhead(from)
    })
  const counter = `count${idOf(c, loop.index)}`
  w.block(`for (var ${counter} = ${from}; ${counter} < ${to}; ${counter} += ${loop.step}i)`, () => {
    const index = l.register(loop.index, 0, 0)
    w.line(`let ${index} = ${counter};`)
    for (const { arg } of carried)
      forEachSlot(l.grid, arg, (i, j) => w.line(`let ${l.register(arg, i, j)} = ${variable(arg, i, j)};`))
    if (tiles.length || columns.length) {
      for (const tile of tiles)
        if (!ahead.includes(tile)) {
          declareRuns(c, tile, runs(tile))
          readRuns(c, lookingAt(c, loop, index), tile, runs(tile))
        }
      w.line('workgroupBarrier();')
      for (const tile of tiles) writeRuns(c, lookingAt(c, loop, index), tile, runs(tile))
      for (const each of columns) writeColumns(c, lookingAt(c, loop, index), each)
      w.line('workgroupBarrier();')
    }
    if (ahead.length || columns.length) {
      const next = w.declare(`${index} + ${loop.step}i`, 'next')
      w.block(`if (${next} < ${to})`, () => readAhead(next))
    }
    emitFragmentRegion(c, body, loop)
    // all results before any variable changes
    const updates: string[] = []
    for (const { arg, at } of carried)
      forEachSlot(l.grid, arg, (i, j) => {
        const width = arg.cols === 1 ? 1 : 4
        const value = w.declare(renderWide(l, w, loop.results[at] as Node, slotPlace(l.grid, i, j), width), 'next')
        updates.push(`${variable(arg, i, j)} = ${value};`)
      })
    for (const update of updates) w.line(update)
  })
  for (const node of resultsOf(c, loop)) {
    const arg = loop.args[node.at] as Node
    if (roles.accumulators.has(arg)) continue
    const joins = roles.laneSums.get(arg) === loop
    forEachSlot(l.grid, arg, (i, j) => {
      const value = joins ? acrossLanes(c, variable(arg, i, j), (a, b) => `(${a} + ${b})`) : variable(arg, i, j)
      w.line(`let ${l.register(node, i, j)} = ${value};`)
    })
  }
}

type ResultNode = Extract<Node, { op: 'result' }>

/** The final values of a loop that anything reads. */
function resultsOf(c: FragmentContext, loop: LoopNode): ReadonlySet<ResultNode> {
  const found = new Set<ResultNode>()
  const look = (nodes: readonly Node[]) => {
    for (const node of nodes) if (node.op === 'result' && node.loop === loop) found.add(node)
  }
  for (const node of [...c.uses.values, ...c.uses.stores]) look(operands(node))
  for (const other of c.uses.loops) look([...operands(other), ...other.results])
  return found
}
