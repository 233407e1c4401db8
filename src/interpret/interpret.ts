import { FoveaError } from '../ir/error.ts'
import type { LoopNode, Node, StoreNode, TensorParam } from '../ir/node.ts'
import type { Program, Region } from '../ir/schedule.ts'
import { evaluate, type Frame, type Precision, valuesOf } from './evaluate.ts'
import { eachElement, elementAt, type TensorBinding } from './tensor-binding.ts'

/** The arguments of a program by the names of its parameters, captured tensors included. */
export interface Arguments {
  readonly tensors: Readonly<Record<string, TensorBinding>>
  readonly scalars: Readonly<Record<string, number>>
}

/**
 * Runs a program at every position of the grid, one statement after the other, on plain arrays: the meaning of the IR,
 * against which the other back ends are judged. Values are float64 and rounded only where the tensors' `set` does it, or
 * with `real` rounded to their dtype after every operation (dot and sums after every addition).
 *
 * Throws `argument` when a parameter has no argument.
 */
export function interpret(
  program: Program,
  { tensors, scalars }: Arguments,
  grid: readonly [x: number, y: number, z: number],
  precision: Precision = 'float64',
): void {
  for (const param of program.params)
    if (!Object.hasOwn(param.kind === 'tensor' ? tensors : scalars, param.name))
      throw new FoveaError('argument', 'interpret', `${program.name}: no argument for ${param.kind} ${param.name}`)
  const tensor = (param: TensorParam) => tensors[param.name] as TensorBinding
  for (let z = 0; z < grid[2]; z++)
    for (let y = 0; y < grid[1]; y++)
      for (let x = 0; x < grid[0]; x++)
        runRegion(program.body, {
          position: [x, y, z],
          precision,
          scalars,
          tensor,
          values: new Map(),
          results: new Map(),
        })
}

function runRegion(region: Region, frame: Frame): void {
  for (const statement of region.statements) {
    switch (statement.kind) {
      case 'value':
        frame.values.set(statement.node, evaluate(statement.node, frame))
        break
      case 'store':
        runStore(statement.store, frame)
        break
      case 'loop':
        runLoop(statement.loop, statement.body, frame)
        break
      default:
        statement satisfies never
    }
  }
}

function runStore(store: StoreNode, frame: Frame): void {
  const { spec, set } = frame.tensor(store.tensor)
  const operand = (node: Node) => ({ node, values: valuesOf(node, frame) })
  const value = operand(store.value)
  const where = store.where && operand(store.where)
  eachElement(store, store.tensor, spec, store.indices.map(operand), where, (r, c, at) => {
    if (at >= 0) set(at, elementAt(value, r, c))
  })
}

function runLoop(loop: LoopNode, body: Region, frame: Frame): void {
  const [from, to] = [scalarOf(loop.from, frame), scalarOf(loop.to, frame)]
  let carried = loop.inits.map((init) => valuesOf(init, frame))
  for (let i = from; i < to; i += loop.step) {
    frame.values.set(loop.index, Float64Array.of(i))
    for (const [at, arg] of loop.args.entries()) frame.values.set(arg, carried[at] as Float64Array)
    runRegion(body, frame)
    carried = loop.results.map((result) => valuesOf(result, frame))
  }
  frame.results.set(loop, carried)
}

function scalarOf(node: Node, frame: Frame): number {
  return valuesOf(node, frame)[0] as number
}
