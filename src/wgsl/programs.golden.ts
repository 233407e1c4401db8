import { arg, binary, constant, dot, iota, load, loop, programId, reduce, store, unary } from '../ir/build.ts'
import type { Axis, Node, TensorParam } from '../ir/node.ts'
import { type Program, schedule } from '../ir/schedule.ts'
import type { Tier } from './capabilities.ts'
import { lowerProgram } from './lower-program.ts'

/** output = softmax of each row of x [rows, 40] */
function rowSoftmax(): Program {
  const x = tensor('x', 'f16', [null, 40], 'read')
  const output = tensor('output', 'f16', [null, 40], 'write')
  const at = [range('rows', 8, binary('mul', programId(0), constant(8, 'i32'))), iota(40, 'cols')]
  const scores = load(x, at) //                                            [8, 40]
  const weights = unary('exp', binary('sub', scores, reduce('max', 'cols', scores)))
  const result = binary('div', weights, reduce('sum', 'cols', weights))
  return schedule('row-softmax', [x, output], [store(output, at, result)])
}

/** c [m, 16] = a [m, 32] · b [32, 16], 8 inner columns a turn */
function matmulTile(): Program {
  const a = tensor('a', 'f32', [null, 32], 'read')
  const b = tensor('b', 'f32', [32, 16], 'read')
  const c = tensor('c', 'f32', [null, 16], 'write')
  const rows = range('rows', 16, binary('mul', programId(0), constant(16, 'i32')))
  const k = arg('k', constant(0, 'i32'))
  const sum = arg('sum', constant(0, 'f32', 16, 16))
  const product = dot(load(a, [rows, range('cols', 8, k)]), load(b, [range('rows', 8, k), iota(16, 'cols')]))
  const { values } = loop({
    from: constant(0, 'i32'),
    to: constant(32, 'i32'),
    step: 8,
    index: k,
    inits: [constant(0, 'f32', 16, 16)],
    args: [sum],
    results: [binary('add', sum, product)],
    effects: [],
  })
  return schedule('matmul-tile', [a, b, c], [store(c, [rows, iota(16, 'cols')], values[0] as Node)])
}

function tensor(
  name: string,
  dtype: TensorParam['dtype'],
  sizes: readonly (number | null)[],
  access: TensorParam['access'],
): TensorParam {
  return { kind: 'tensor', name, dtype, sizes, access, alignment: 4 }
}

function range(axis: Axis, count: number, start: Node): Node {
  return binary('add', start, iota(count, axis))
}

/** the floor of WebGPU, with subgroups of 32 from tier 1 on */
function wgsl(program: Program, tier: Tier): string {
  return lowerProgram(program, {
    tier,
    maxWorkgroupBytes: 16384,
    maxInvocations: 256,
    maxStorageBuffers: 8,
    subgroupMinSize: 32,
    subgroupMaxSize: 32,
    subgroupMatrixConfigs: [],
  }).code
}

export const goldens = {
  'row-softmax.t0.wgsl': () => wgsl(rowSoftmax(), 0),
  'row-softmax.t2.wgsl': () => wgsl(rowSoftmax(), 2),
  'matmul-tile.t0.wgsl': () => wgsl(matmulTile(), 0),
}
