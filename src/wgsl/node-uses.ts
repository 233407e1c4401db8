import { type Node, operands, type Program, type Region } from '../ir/index.ts'
import type { DotNode, LoopNode, StoreNode } from '../ir/node.ts'

/** Where each value of a program is needed, and in which loops it is computed. */
export interface NodeUses {
  /** the statements (and loops, for bounds, initial values and results) that read a value */
  users(node: Node): readonly Node[]
  /** the loops, outermost first, around the statement that computes a value; [] for leaves */
  loopsOf(node: Node): readonly LoopNode[]
  /** all values computed by statements, in order */
  readonly values: readonly Node[]
  readonly dots: readonly DotNode[]
  readonly loops: readonly LoopNode[]
  readonly stores: readonly StoreNode[]
}

export function nodeUses(program: Program): NodeUses {
  const users = new Map<Node, Node[]>()
  const loopsOf = new Map<Node, readonly LoopNode[]>()
  const values: Node[] = []
  const dots: DotNode[] = []
  const loops: LoopNode[] = []
  const stores: StoreNode[] = []
  const use = (node: Node, user: Node) => {
    const known = users.get(node)
    if (!known) users.set(node, [user])
    else if (!known.includes(user)) known.push(user)
  }
  const walk = (region: Region, around: readonly LoopNode[]) => {
    for (const statement of region.statements) {
      if (statement.kind === 'value') {
        const { node } = statement
        loopsOf.set(node, around)
        values.push(node)
        if (node.op === 'dot') dots.push(node)
        for (const operand of operands(node)) use(operand, node)
      } else if (statement.kind === 'store') {
        stores.push(statement.store)
        for (const operand of operands(statement.store)) use(operand, statement.store)
      } else {
        const { loop } = statement
        loopsOf.set(loop, around)
        loops.push(loop)
        for (const own of [loop.index, ...loop.args]) loopsOf.set(own, [...around, loop])
        for (const operand of [...operands(loop), ...loop.results]) use(operand, loop)
        walk(statement.body, [...around, loop])
      }
    }
  }
  walk(program.body, [])
  return {
    users: (node) => users.get(node) ?? [],
    loopsOf: (node) => loopsOf.get(node.op === 'result' ? node.loop : node) ?? [],
    values,
    dots,
    loops,
    stores,
  }
}
