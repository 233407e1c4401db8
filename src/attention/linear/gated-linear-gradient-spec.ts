import {
  alignmentOf,
  load,
  type ProgramBuilder,
  rowRange,
  type StorageDType,
  sizeOf,
  type TensorParam,
  type TensorSpec,
  type Value,
} from '../../tile/index.ts'

/** Tensors of a backward of gated linear attention: the forward's inputs, what arrives, what is written. */
export interface GatedLinearGradientSpec {
  readonly query: TensorSpec // [B, T, H, D]
  readonly key: TensorSpec // [B, T, H, D]
  readonly value: TensorSpec // [B, T, H, Dv]
  readonly logDecay: TensorSpec // [B, T, H, D] or [B, T, H]
  readonly initialState: TensorSpec | null // [N, H, D, Dv], f32
  readonly cuSeqlens: TensorSpec | null // [N + 1], i32; B is then 1
  readonly dOutput: TensorSpec // [B, T, H, Dv]
  readonly dFinalState: TensorSpec | null // [N, H, D, Dv], f32
  readonly dQuery: TensorSpec // as query
  readonly dKey: TensorSpec // as key
  readonly dValue: TensorSpec // as value
  readonly dLogDecay: TensorSpec | null // as logDecay
  readonly dInitialState: TensorSpec | null // [N, H, D, Dv], f32
  /** states before each chunk and gradients of the states after it [slots, H, D, Dv], f32 */
  readonly states: TensorSpec
  readonly stateGradients: TensorSpec
  readonly scale: number
  /** tokens of a chunk: 8, 16, 32 or 64 */
  readonly chunk: number
  /** value columns of one program of the pass over states */
  readonly tileV: number
}

/** below this, exp of logDecay is 0 in f32; a logDecay of −∞ would give NaN where it is multiplied by 0 */
export const forgetsAll = -1e4

type TensorName = {
  [K in keyof GatedLinearGradientSpec]: GatedLinearGradientSpec[K] extends TensorSpec | null ? K : never
}[keyof GatedLinearGradientSpec]

/** Declares tensors of the spec by name, with their widths, as what they are read from or written to. */
export function gradientTensors(p: ProgramBuilder, spec: GatedLinearGradientSpec) {
  const [headDim, valueDim] = [spec.query.shape[3] as number, spec.value.shape[3] as number]
  const sizes = (name: TensorName): (number | null)[] => {
    const { shape } = spec[name] as TensorSpec
    if (shape.length < 4) return shape.map(() => null)
    const isState = /state/i.test(name)
    const isValue = /value|output/i.test(name)
    return isState ? [null, null, headDim, valueDim] : [null, null, null, isValue ? valueDim : headDim]
  }
  const options = (name: TensorName) => ({ alignment: alignmentOf(spec[name] as TensorSpec) })
  const dtype = (name: TensorName): StorageDType => (spec[name] as TensorSpec).dtype
  return {
    input: (name: TensorName): TensorParam => p.input(name, dtype(name), sizes(name), options(name)),
    output: (name: TensorName): TensorParam => p.output(name, dtype(name), sizes(name), options(name)),
  }
}

/** Where one sequence of the tokens of a tensor lies: its row of the token tensors, its tokens, and the number of its first chunk among all states. */
export function sequencePlace(p: ProgramBuilder, spec: GatedLinearGradientSpec, tokens: TensorParam, sequence: Value) {
  const { chunk } = spec
  const bounds = spec.cuSeqlens && p.input('cuSeqlens', 'i32', [null])
  if (!bounds) {
    const to = sizeOf(tokens, 1)
    return { row: sequence, from: to.mul(0), to, firstSlot: sequence.mul(to.add(chunk - 1).div(chunk)) }
  }
  const [from, to] = [load(bounds, [sequence]), load(bounds, [sequence.add(1)])]
  // chunks of earlier sequences take at most one more slot each than whole chunks of tokens
  return { row: from.mul(0), from, to, firstSlot: from.div(chunk).add(sequence) }
}

/** Reads of one chunk: `tile` of a token tensor, and logDecay of its tokens and of the token after each, within the chunk. */
export function chunkReads(
  { chunk, logDecay }: GatedLinearGradientSpec,
  place: { readonly row: Value; readonly to: Value; readonly head: Value; readonly start: Value },
) {
  const { row, to, head, start } = place
  const t = rowRange(start, chunk) //                                                   [C, 1]
  const inside = t.lt(to)
  const decays = (x: TensorParam, tokens: Value, where: Value, channel: Value) =>
    load(x, logDecay.shape.length === 4 ? [row, tokens, head, channel] : [row, tokens, head], { where })
      .cast('f32')
      .max(forgetsAll)
  const next = t.add(1)
  return {
    t,
    inside,
    tile: (x: TensorParam, columns: Value) => load(x, [row, t, head, columns], { where: inside }).cast('f32'),
    decay: (x: TensorParam, channel: Value) => decays(x, t, inside, channel),
    nextDecay: (x: TensorParam, channel: Value) => decays(x, next, next.lt(to).and(next.lt(start.add(chunk))), channel),
  }
}
