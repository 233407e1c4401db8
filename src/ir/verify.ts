import { describeType } from './build.ts'
import { FoveaError } from './error.ts'
import { type Node, operands } from './node.ts'
import { isLeaf, type Program, type Region } from './schedule.ts'

/**
 * Holds a program to what back ends rely on: every value is computed before it is used and in a region that encloses its
 * use, loops give back what they carry, every tensor and scalar is a parameter, only outputs are stored to. Throws
 * `argument` with the offending value. Programs made by `schedule` pass; it guards programs made or changed by hand.
 */
export function verifyProgram(program: Program): void {
  const fail = (message: string): never => {
    throw new FoveaError('argument', `verify ${program.name}`, message)
  }
  const names = new Set<string>()
  for (const param of program.params) {
    if (names.has(param.name)) fail(`two parameters are called ${param.name}`)
    names.add(param.name)
  }
  const params = new Set<object>(program.params)

  const use = (node: Node, known: ReadonlySet<Node>) => {
    if (node.op === 'scalar' && !params.has(node.param)) fail(`scalar ${node.param.name} is no parameter`)
    if (node.op === 'size' && !params.has(node.tensor)) fail(`tensor ${node.tensor.name} is no parameter`)
    const defined =
      node.op === 'result' ? known.has(node.loop) : node.op === 'arg' || !isLeaf(node) ? known.has(node) : true
    if (!defined) fail(`${node.op} : ${describeType(node)} is used before it is computed`)
  }

  const walk = (region: Region, outer: ReadonlySet<Node>, results: readonly Node[]) => {
    const known = new Set(outer)
    for (const statement of region.statements) {
      if (statement.kind === 'loop') {
        const { loop, body } = statement
        for (const operand of operands(loop)) use(operand, known)
        for (const [i, arg] of loop.args.entries()) {
          const same = [loop.inits[i], loop.results[i]].every((v) => v && describeType(v) === describeType(arg))
          if (!same) fail(`carried ${arg.name} : ${describeType(arg)} starts or goes on as another type`)
        }
        walk(body, new Set([...known, loop.index, ...loop.args]), loop.results)
        known.add(loop)
        continue
      }
      const node = statement.kind === 'value' ? statement.node : statement.store
      for (const operand of operands(node)) use(operand, known)
      if ((node.op === 'load' || node.op === 'store') && !params.has(node.tensor))
        fail(`tensor ${node.tensor.name} is no parameter`)
      if (node.op === 'store' && node.tensor.access === 'read')
        fail(`${node.tensor.name} is stored to but declared for reading`)
      if (node.op === 'load' && node.tensor.access === 'write')
        fail(`${node.tensor.name} is loaded from but declared for writing`)
      known.add(node)
    }
    for (const result of results) use(result, known)
  }
  walk(program.body, new Set(), [])
}
