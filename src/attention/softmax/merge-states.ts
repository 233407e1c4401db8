import type { Device, Tensor } from '../../device/device.ts'
import {
  checkFields,
  colRange,
  defineProgram,
  exp,
  type FieldsOf,
  FoveaError,
  type Kernel,
  load,
  log,
  max,
  type Program,
  rowRange,
  select,
  store,
  type TensorSpec,
} from '../../tile/index.ts'
import { describeSpec } from './attention-shape.ts'

// The merge of two attention states over disjoint sets of keys (Ye et al., FlashInfer, 2025, arXiv 2501.01005, equations 2
// and 3): lse = log(exp(lseA) + exp(lseB)), output = exp(lseA − lse) outputA + exp(lseB − lse) outputB. Associative and
// commutative; a state with lse −∞ is its zero. One program owns a tile of queries of one head; everything is read once.

const tileRows = 16

/** Attention over some of the keys: what `attention` returns. */
export interface AttentionState<T = Tensor> {
  readonly output: T // [B, T, H, Dv], f32, f16 or bf16
  readonly lse: T // [B, H, T], f32
}

/**
 * The attention state over the keys of both states. Outputs of one dtype; the result has it too.
 *
 * Throws `shape` and `dtype` where the states do not fit together, `device` and `disposed` for tensors of another device
 * and disposed ones, and what `Device.run` throws.
 */
export function mergeStates(device: Device, a: AttentionState, b: AttentionState): { output: Tensor; lse: Tensor } {
  checkFields('mergeStates', 'a', a, fields)
  checkFields('mergeStates', 'b', b, fields)
  const kernel = mergeStatesKernel(a, b)
  for (const tensor of [a.output, a.lse, b.output, b.lse]) {
    if (tensor.device !== device)
      throw new FoveaError('device', 'mergeStates', `${describeSpec(tensor)} belongs to another device`)
    if (tensor.disposed) throw new FoveaError('disposed', 'mergeStates', `${describeSpec(tensor)} was disposed`)
  }
  const output = device.empty(a.output.shape, a.output.dtype)
  const lse = device.empty(a.lse.shape)
  device.run(kernel, { outputA: a.output, lseA: a.lse, outputB: b.output, lseB: b.lse, output, lse })
  return { output, lse }
}

const fields: FieldsOf<AttentionState> = { output: true, lse: true }

/** The kernel of `mergeStates`: binds outputA, lseA, outputB, lseB, output and lse. */
export function mergeStatesKernel(a: AttentionState<TensorSpec>, b: AttentionState<TensorSpec>): Kernel {
  checkStates(a, b)
  const [batch = 0, queries = 0, heads = 0, valueDim = 0] = a.output.shape
  return {
    program: mergeStatesProgram(a.output.dtype, valueDim),
    grid: [Math.ceil(queries / tileRows), heads, batch],
    scalars: {},
  }
}

function mergeStatesProgram(dtype: TensorSpec['dtype'], valueDim: number): Program {
  return defineProgram('mergeStates', (p) => {
    const sides = ['A', 'B'].map((side) => ({
      output: p.input(`output${side}`, dtype, [null, null, null, valueDim]),
      lse: p.input(`lse${side}`, 'f32', [null, null, null]),
    }))
    const output = p.output('output', dtype, [null, null, null, valueDim])
    const lse = p.output('lse', 'f32', [null, null, null])

    const queries = rowRange(p.programId(0).mul(tileRows), tileRows) //       [rows, 1]
    const [head, batch] = [p.programId(1), p.programId(2)]
    const columns = colRange(0, valueDim)
    const loaded = sides.map((side) => ({
      output: load(side.output, [batch, queries, head, columns]).cast('f32'), // [rows, Dv]
      lse: load(side.lse, [batch, head, queries]), //                         [rows, 1]
    }))
    const [a, b] = loaded as [(typeof loaded)[number], (typeof loaded)[number]]
    const m = max(a.lse, b.lse)
    const stable = select(m.eq(Number.NEGATIVE_INFINITY), 0, m)
    const [weightA, weightB] = [exp(a.lse.sub(stable)), exp(b.lse.sub(stable))]
    const sum = weightA.add(weightB)
    const none = sum.eq(0)
    const merged = a.output.mul(weightA).add(b.output.mul(weightB))
    p.emit(store(output, [batch, queries, head, columns], merged.mul(select(none, 0, sum.reciprocal()))))
    p.emit(store(lse, [batch, head, queries], select(none, Number.NEGATIVE_INFINITY, m.add(log(sum)))))
  })
}

function checkStates(a: AttentionState<TensorSpec>, b: AttentionState<TensorSpec>): void {
  const received = `a ${describeSpec(a.output)} with lse ${describeSpec(a.lse)}, b ${describeSpec(b.output)} with lse ${describeSpec(b.lse)}`
  const fail = (code: 'shape' | 'dtype', message: string): never => {
    throw new FoveaError(code, 'mergeStates', `${message}; got ${received}`)
  }
  const [batch, queries, heads] = a.output.shape
  if (a.output.shape.length !== 4) fail('shape', 'outputs must be [B, T, H, Dv]')
  if (a.output.shape.join() !== b.output.shape.join()) fail('shape', 'outputs must have one shape')
  if (a.output.dtype !== b.output.dtype) fail('dtype', 'outputs must have one dtype')
  if (!['f32', 'f16', 'bf16'].includes(a.output.dtype)) fail('dtype', 'outputs must be f32, f16 or bf16')
  for (const { lse } of [a, b]) {
    if (lse.shape.join() !== [batch, heads, queries].join()) fail('shape', 'lse must be [B, H, T]')
    if (lse.dtype !== 'f32') fail('dtype', 'lse must be f32')
  }
}
