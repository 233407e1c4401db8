import { isScalar, type Node } from '../ir/index.ts'
import type { NodeUses } from './node-uses.ts'

/**
 * Carried tiles of inner loops that can live in the variables of the loop around: those that begin as a carried value which
 * nothing else reads. Inner argument → outer argument.
 */
export function loopAliases(uses: NodeUses): ReadonlyMap<Node, Node> {
  const aliases = new Map<Node, Node>()
  for (const loop of uses.loops) {
    loop.args.forEach((arg, at) => {
      const init = loop.inits[at] as Node
      if (isScalar(arg) || init.op !== 'arg') return
      const users = uses.users(init)
      const once = loop.inits.filter((other) => other === init).length === 1
      const inside = uses.loopsOf(init).length === uses.loopsOf(loop).length
      if (users.length === 1 && users[0] === loop && once && inside && !loop.results.includes(init))
        aliases.set(arg, init)
    })
  }
  return aliases
}
