import { isScalar, type Node } from '../ir/index.ts'
import type { Region } from '../ir/schedule.ts'
import type { FragmentContext } from './fragment-context.ts'
import { slotPlace } from './place.ts'
import { renderOperation, renderValue, renderWide } from './render-value.ts'
import { chunkCount, forEachSlot } from './thread-grid.ts'
import { elementType, valueType, type Width } from './value-type.ts'

type ReduceNode = Extract<Node, { op: 'reduce' }>
type SelectNode = Extract<Node, { op: 'select' }>

const widthOf = (node: Node): Width => (node.cols === 1 ? 1 : 4)

/** Names an element-wise value for every row and chunk that a lane holds. */
export function emitElementwise(c: FragmentContext, node: Node): void {
  const { l, w } = c
  forEachSlot(l.grid, node, (i, j) => {
    w.line(`let ${l.register(node, i, j)} = ${renderOperation(l, w, node, slotPlace(l.grid, i, j))};`)
  })
}

/** A reduction over columns: first within a lane, then between the lanes of a row, all of which get the result. */
export function emitFragmentReduce(c: FragmentContext, node: ReduceNode): void {
  const { l, w } = c
  const join = (a: string, b: string) => (node.fn === 'sum' ? `(${a} + ${b})` : `${node.fn}(${a}, ${b})`)
  forEachSlot(l.grid, node, (i, j) => {
    const chunks = Array.from({ length: chunkCount(l.grid, node.x) }, (_, at) =>
      renderValue(l, w, node.x, slotPlace(l.grid, i, at)),
    )
    let value = chunks.reduce(join)
    if (node.x.cols > 1) {
      const four = w.declare(value, 'four')
      value = join(join(`${four}.x`, `${four}.y`), join(`${four}.z`, `${four}.w`))
      if (!c.roles.laneSums.has(node)) value = acrossLanes(c, value, join)
    }
    w.line(`let ${l.register(node, i, j)} = ${value};`)
  })
}

/** Joins what the lanes of a row hold; all of them get the result. */
export function acrossLanes(c: FragmentContext, value: string, join: (a: string, b: string) => string): string {
  let joined = value
  for (let step = 1; step < c.layout.distribution.config.lanesPerRow; step *= 2) {
    const own = c.w.declare(joined, 'own')
    joined = join(own, `subgroupShuffleXor(${own}, ${step}u)`)
  }
  return joined
}

/** For each uniform select of a region: the values that only one of its sides needs, which are then computed only there. */
export interface Branches {
  /** values that are not computed where they stand */
  readonly deferred: ReadonlySet<Node>
  side(select: SelectNode, side: 'a' | 'b'): readonly Node[]
}

export function isUniformSelect(node: Node): node is SelectNode {
  return node.op === 'select' && isScalar(node.cond) && node.cond.op !== 'const'
}

export function regionBranches(c: FragmentContext, region: Region): Branches {
  const nodes = region.statements.flatMap((s) => (s.kind === 'value' ? [s.node] : []))
  const here = new Set(nodes)
  // the select side on whose behalf alone a value is computed
  const owner = new Map<Node, string>()
  const name = (select: Node, side: string) => `${nodes.indexOf(select)}${side}`
  const sides = new Map<string, Node[]>()
  const eligible = (node: Node) =>
    (node.op === 'load' ||
      node.op === 'unary' ||
      node.op === 'binary' ||
      node.op === 'select' ||
      node.op === 'cast' ||
      node.op === 'lookup' ||
      node.op === 'broadcast') &&
    !isScalar(node) &&
    !c.l.isVirtual(node) &&
    !c.roles.late.has(node) &&
    !c.roles.steps.has(node)
  for (const node of [...nodes].reverse()) {
    if (!eligible(node)) continue
    const claims = new Set<string | null>()
    for (const user of c.uses.users(node)) {
      if (!here.has(user)) claims.add(null)
      else if (isUniformSelect(user) && eligible(user)) {
        if (user.a === node && user.b !== node) claims.add(name(user, 'a'))
        else if (user.b === node && user.a !== node) claims.add(name(user, 'b'))
        else claims.add(null)
      } else claims.add(owner.get(user) ?? null)
    }
    const [claim] = claims
    if (claims.size !== 1 || claim === null || claim === undefined) continue
    owner.set(node, claim)
    sides.set(claim, [node, ...(sides.get(claim) ?? [])])
  }
  return {
    deferred: new Set(owner.keys()),
    side: (select, side) => sides.get(name(select, side)) ?? [],
  }
}

/** A select by a scalar: one branch, in which the chosen side's own values are computed. */
export function emitUniformSelect(
  c: FragmentContext,
  node: SelectNode,
  branches: Branches,
  emit: (node: Node) => void,
): void {
  const { l, w } = c
  const condition = renderValue(l, w, node.cond, slotPlace(l.grid, 0, 0))
  const type = widthOf(node) === 4 ? valueType(node.dtype, 4) : elementType(node.dtype)
  // the value is named by an immutable name once it is known
  forEachSlot(l.grid, node, (i, j) => {
    w.line(`var ${l.register(node, i, j)}_s: ${type};`)
  })
  const assign = (side: 'a' | 'b') => () => {
    for (const own of branches.side(node, side)) emit(own)
    forEachSlot(l.grid, node, (i, j) => {
      const value = renderWide(l, w, node[side], slotPlace(l.grid, i, j), widthOf(node))
      w.line(`${l.register(node, i, j)}_s = ${value};`)
    })
  }
  w.block(`if (${condition})`, assign('a'))
  w.block('else', assign('b'))
  forEachSlot(l.grid, node, (i, j) => {
    w.line(`let ${l.register(node, i, j)} = ${l.register(node, i, j)}_s;`)
  })
}
