import { describeType } from './build.ts'
import type { Node, OpTable, Param, TensorParam } from './node.ts'
import type { Program, Region } from './schedule.ts'

/** A program as readable text, one line per value, the same for the same program. */
export function printProgram(program: Program): string {
  const show = (node: Node): string => {
    const id = program.ids.get(node)
    return id === undefined ? expression[node.op](node as never, show) : `%${id}`
  }
  const lines = [`program ${program.name}(${program.params.map(showParam).join(', ')})`]
  const region = (body: Region, indent: string) => {
    for (const statement of body.statements) {
      if (statement.kind === 'value') {
        const { node } = statement
        lines.push(`${indent}${show(node)} = ${expression[node.op](node as never, show)} : ${describeType(node)}`)
      } else if (statement.kind === 'store') {
        lines.push(`${indent}${expression.store(statement.store, show)}`)
      } else {
        const { loop } = statement
        lines.push(
          `${indent}loop ${show(loop)}: ${show(loop.index)} from ${show(loop.from)} to ${show(loop.to)} step ${loop.step}`,
        )
        for (const [i, arg] of loop.args.entries()) {
          const init = show(loop.inits[i] as Node)
          lines.push(`${indent}  carry ${show(arg)} '${arg.name}' = ${init} : ${describeType(arg)}`)
        }
        region(statement.body, `${indent}  `)
        if (loop.results.length) lines.push(`${indent}  next ${loop.results.map(show).join(', ')}`)
      }
    }
  }
  region(program.body, '  ')
  return `${lines.join('\n')}\n`
}

const accessWord = { read: '', write: 'out ', readwrite: 'inout ' } as const

function showParam(param: Param): string {
  if (param.kind === 'scalar') return `${param.name}: ${param.dtype}`
  const align = param.alignment > 1 ? ` align ${param.alignment}` : ''
  return `${accessWord[param.access]}${param.name}: ${param.dtype}[${param.sizes.map((n) => n ?? '?').join(', ')}]${align}`
}

const access = (tensor: TensorParam, indices: readonly Node[], show: (n: Node) => string) =>
  `${tensor.name}[${indices.map(show).join(', ')}]`

const expression: OpTable<string, [(node: Node) => string]> = {
  const: (n) =>
    n.dtype === 'bool'
      ? n.value
        ? 'true'
        : 'false'
      : `${Object.is(n.value, -0) ? '-0' : n.value}${n.rows * n.cols > 1 ? ` [${n.rows}, ${n.cols}]` : ''}`,
  programId: (n) => `program.${'xyz'[n.axis]}`,
  scalar: (n) => n.param.name,
  size: (n) => `${n.tensor.name}.size(${n.dim})`,
  iota: (n) => `${n.axis}(${n.axis === 'rows' ? n.rows : n.cols})`,
  unary: (n, show) => `${n.fn}(${show(n.x)})`,
  binary: (n, show) => `${n.fn}(${show(n.a)}, ${show(n.b)})`,
  select: (n, show) => `select(${show(n.cond)}, ${show(n.a)}, ${show(n.b)})`,
  cast: (n, show) => `${n.dtype}(${show(n.x)})`,
  lookup: (n, show) => `lookup(${show(n.x)}, [${n.table.join(' ')}])`,
  broadcast: (n, show) => `broadcast(${show(n.x)})`,
  load: (n, show) => `load ${access(n.tensor, n.indices, show)}${n.where ? ` where ${show(n.where)}` : ''}`,
  transpose: (n, show) => `transpose(${show(n.x)})`,
  dot: (n, show) => `dot(${show(n.a)}${n.transposeA ? 'ᵀ' : ''}, ${show(n.b)}${n.transposeB ? 'ᵀ' : ''})`,
  reduce: (n, show) => `${n.fn} over ${n.axis}(${show(n.x)})`,
  scan: (n, show) => `running sum over ${n.axis}${n.reverse ? ' reversed' : ''}(${show(n.x)})`,
  arg: (n) => n.name,
  loop: () => 'loop',
  result: (n, show) => `${show(n.loop)}.${n.at}`,
  store: (n, show) =>
    `store ${access(n.tensor, n.indices, show)} = ${show(n.value)}${n.where ? ` where ${show(n.where)}` : ''}`,
}
