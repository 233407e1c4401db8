import { arg, binary, constant, dot, iota, load, loop, programId, reduce, store, unary } from '../ir/build.ts'
import type { Axis, Node, TensorParam } from '../ir/node.ts'
import { type Program, schedule } from '../ir/schedule.ts'
import { compileProgram } from './compile-program.ts'

/** output = softmax of each row of x [rows, 40] */
function rowSoftmax(): Program {
  const x = tensor('x', [null, 40], 'read')
  const output = tensor('output', [null, 40], 'write')
  const at = [range('rows', 8, binary('mul', programId(0), constant(8, 'i32'))), iota(40, 'cols')]
  const scores = load(x, at) //                                            [8, 40]
  const weights = unary('exp', binary('sub', scores, reduce('max', 'cols', scores)))
  return schedule(
    'row-softmax',
    [x, output],
    [store(output, at, binary('div', weights, reduce('sum', 'cols', weights)))],
  )
}

/** c [m, 16] = a [m, 32] · b [32, 16], 8 inner columns a turn */
function matmulTile(): Program {
  const a = tensor('a', [null, 32], 'read')
  const b = tensor('b', [32, 16], 'read')
  const c = tensor('c', [null, 16], 'write')
  const rows = range('rows', 6, binary('mul', programId(0), constant(6, 'i32')))
  const k = arg('k', constant(0, 'i32'))
  const sum = arg('sum', constant(0, 'f32', 6, 16))
  const product = dot(load(a, [rows, range('cols', 8, k)]), load(b, [range('rows', 8, k), iota(16, 'cols')]))
  const bounds = { from: constant(0, 'i32'), to: constant(32, 'i32'), step: 8, index: k }
  const { values } = loop({
    ...bounds,
    inits: [constant(0, 'f32', 6, 16)],
    args: [sum],
    results: [binary('add', sum, product)],
    effects: [],
  })
  return schedule('matmul-tile', [a, b, c], [store(c, [rows, iota(16, 'cols')], values[0] as Node)])
}

function tensor(name: string, sizes: readonly (number | null)[], access: TensorParam['access']): TensorParam {
  return { kind: 'tensor', name, dtype: 'f32', sizes, access, alignment: 1 }
}

function range(axis: Axis, count: number, start: Node): Node {
  return binary('add', start, iota(count, axis))
}

export const goldens = {
  'row-softmax.wat': () => compileProgram(rowSoftmax(), { relaxed: true }).wat(),
  'row-softmax.plain.wat': () => compileProgram(rowSoftmax(), { relaxed: false }).wat(),
  'matmul-tile.wat': () => compileProgram(matmulTile(), { relaxed: true }).wat(),
}
