import {
  alignmentOf,
  load,
  type ProgramBuilder,
  type StorageDType,
  sizeOf,
  type TensorParam,
  type TensorSpec,
  type Value,
} from '../../tile/index.ts'

export type GatedLinearForm = 'chunked' | 'recurrent'

/** Everything of gated linear attention but the data. Lengths, strides, counts and scale are run-time values. */
export interface GatedLinearAttentionSpec {
  readonly query: TensorSpec // [B, T, H, D]
  readonly key: TensorSpec // [B, T, H, D]
  readonly value: TensorSpec // [B, T, H, Dv]
  readonly logDecay: TensorSpec // [B, T, H, D], or [B, T, H]: one decay for all channels of a head
  readonly initialState: TensorSpec | null // [N, H, D, Dv], f32; N = B, or the number of packed sequences
  readonly cuSeqlens: TensorSpec | null // [N + 1], i32; B is then 1
  readonly output: TensorSpec // [B, T, H, Dv]
  readonly finalState: TensorSpec // [N, H, D, Dv], f32
  readonly scale: number
  readonly form: GatedLinearForm
  /** tokens that one step of `chunked` takes: 8, 16, 32 or 64 */
  readonly chunk: number
  /** value columns of one program */
  readonly tileV: number
}

/** The arguments of both forms, and where this program stands. */
export interface GatedLinearArguments {
  readonly query: TensorParam
  readonly key: TensorParam
  readonly value: TensorParam
  readonly logDecay: TensorParam
  readonly initialState: TensorParam | null
  readonly output: TensorParam
  readonly finalState: TensorParam
  readonly scale: Value
  /** one decay per channel, or one per head */
  readonly perChannel: boolean
  /** D and the tile of value columns, rounded up to what every back end tiles well */
  readonly width: number
  readonly vStart: Value
  readonly head: Value
  readonly sequence: Value
  /** index into dimension 0 of the token tensors, and the tokens of this sequence */
  readonly row: Value | number
  readonly from: Value | number
  readonly to: Value
}

/** Declares the arguments. The grid is (value tile, head, sequence). */
export function gatedLinearArguments(p: ProgramBuilder, spec: GatedLinearAttentionSpec): GatedLinearArguments {
  const [headDim, valueDim] = [spec.query.shape[3] as number, spec.value.shape[3] as number]
  const tokens = (width: number): (number | null)[] => [null, null, null, width]
  const state = [null, null, headDim, valueDim]
  const input = (name: string, from: TensorSpec, sizes: (number | null)[], dtype: StorageDType = from.dtype) =>
    p.input(name, dtype, sizes, { alignment: alignmentOf(from) })
  const perChannel = spec.logDecay.shape.length === 4
  const query = input('query', spec.query, tokens(headDim))
  const key = input('key', spec.key, tokens(headDim))
  const value = input('value', spec.value, tokens(valueDim))
  const logDecay = input('logDecay', spec.logDecay, perChannel ? tokens(headDim) : [null, null, null])
  const initialState = spec.initialState && input('initialState', spec.initialState, state)
  const cuSeqlens = spec.cuSeqlens && p.input('cuSeqlens', 'i32', [null])
  const output = p.output('output', spec.output.dtype, tokens(valueDim), { alignment: alignmentOf(spec.output) })
  const finalState = p.output('finalState', 'f32', state, { alignment: alignmentOf(spec.finalState) })
  const sequence = p.programId(2)
  return {
    query,
    key,
    value,
    logDecay,
    initialState,
    output,
    finalState,
    scale: p.scalar('scale', 'f32'),
    perChannel,
    width: Math.ceil(headDim / 16) * 16,
    vStart: p.programId(0).mul(spec.tileV),
    head: p.programId(1),
    sequence,
    row: cuSeqlens ? 0 : sequence,
    from: cuSeqlens ? load(cuSeqlens, [sequence]) : 0,
    to: cuSeqlens ? load(cuSeqlens, [sequence.add(1)]) : sizeOf(query, 1),
  }
}
