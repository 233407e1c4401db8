import { isScalar, type LoopNode, type Node, type StoreNode } from '../../ir/node.ts'
import type { Program, Region } from '../../ir/schedule.ts'
import type { AccessTable } from './access.ts'
import { isElementwise, valueInputs, walkedShape } from './node-class.ts'

/** Where a value is used. `lanes`: read inside a pass of the user's shape; `whole`: read as a buffer. */
export interface Use {
  readonly by: Node
  readonly kind: 'lanes' | 'whole' | 'transposed'
}

/** A region of the program and the loop whose body it is. */
export interface RegionInfo {
  readonly region: Region
  readonly loop: LoopNode | null
  readonly parent: RegionInfo | null
  readonly depth: number
}

/** Who uses what, and where each statement stands. */
export interface ProgramUses {
  readonly uses: ReadonlyMap<Node, readonly Use[]>
  /** the region in which a value comes to be */
  readonly home: ReadonlyMap<Node, RegionInfo>
  readonly regions: ReadonlyMap<LoopNode | null, RegionInfo>
}

/** Walks a program from its effects: values that only served as recognised index ranges drop out. */
export function collectUses(program: Program, accesses: AccessTable): ProgramUses {
  const uses = new Map<Node, Use[]>()
  const home = new Map<Node, RegionInfo>()
  const regions = new Map<LoopNode | null, RegionInfo>()
  const effects: { node: StoreNode | LoopNode; info: RegionInfo }[] = []

  const enter = (region: Region, loop: LoopNode | null, parent: RegionInfo | null) => {
    const info: RegionInfo = { region, loop, parent, depth: parent ? parent.depth + 1 : 0 }
    regions.set(loop, info)
    for (const statement of region.statements) {
      if (statement.kind === 'value') home.set(statement.node, info)
      else if (statement.kind === 'store') {
        home.set(statement.store, info)
        effects.push({ node: statement.store, info })
      } else {
        home.set(statement.loop, info)
        for (const own of [statement.loop.index, ...statement.loop.args]) home.set(own, info)
        enter(statement.body, statement.loop, info)
        const body = regions.get(statement.loop)
        if (body) for (const own of [statement.loop.index, ...statement.loop.args]) home.set(own, body)
        if (statement.loop.effects.length > 0) effects.push({ node: statement.loop, info })
      }
    }
  }
  enter(program.body, null, null)

  const use = (node: Node, by: Node, kind: Use['kind']) => {
    const known = uses.get(node)
    if (known) {
      known.push({ by, kind })
      return
    }
    uses.set(node, [{ by, kind }])
    visit(node)
  }
  const visited = new Set<Node>()
  const visit = (node: Node) => {
    if (visited.has(node)) return
    visited.add(node)
    if (node.op === 'result') {
      const region = home.get(node.loop)
      if (region) home.set(node, region)
      use(node.loop, node, 'whole')
      return
    }
    if (node.op === 'loop') {
      for (const bound of [node.from, node.to]) use(bound, node, 'lanes')
      for (const value of [...node.inits, ...node.results]) use(value, node, 'whole')
      for (const effect of node.effects) visit(effect)
      return
    }
    if (node.op === 'dot') {
      use(node.a, node, 'whole')
      use(node.b, node, node.transposeB ? 'transposed' : 'whole')
      return
    }
    for (const input of valueInputs(node, accesses)) use(input, node, node.op === 'scan' ? 'whole' : 'lanes')
  }
  for (const { node } of effects) visit(node)
  return { uses, home, regions }
}

/** Must the value of this element-wise node be written to a buffer, rather than computed where it is used? */
export function needsBuffer(node: Node, { uses, home }: ProgramUses): boolean {
  if (isScalar(node) || node.op === 'const') return false
  if (!isElementwise(node)) return true
  const all = uses.get(node) ?? []
  const own = home.get(node)
  const walked = all.filter((entry) => entry.kind === 'lanes')
  if (all.some((entry) => entry.kind === 'whole')) return true
  if (node.op === 'iota') return all.length > 0
  if (walked.length > 1 || (walked.length === 1 && all.length > 1)) return true
  return walked.some(({ by }) => {
    const shape = by.op === 'transpose' ? node : walkedShape(by)
    return shape.rows !== node.rows || shape.cols !== node.cols || home.get(by) !== own
  })
}
