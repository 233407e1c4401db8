import type { Device, Tensor } from '../device/device.ts'
import {
  alignmentOf,
  colRange,
  contiguousStrides,
  defineProgram,
  dot,
  FoveaError,
  type Kernel,
  load,
  loop,
  type Program,
  type ProgramBuilder,
  rowRange,
  type StorageDType,
  sizeOf,
  store,
  type TensorSpec,
  type Value,
  zeros,
} from '../tile/index.ts'
import type { Activation } from './activations.ts'
import { type MatmulTiles, matmulTiles } from './matmul-tiles.ts'

/** Everything of a matrix product but the data. Sizes, strides and alpha are run-time values: changing them compiles nothing. */
export interface MatmulSpec {
  readonly a: TensorSpec // [M, K] or [batch, M, K]; transposeA: [K, M] or [batch, K, M]
  readonly b: TensorSpec // [K, N] or [batch, K, N]; transposeB: [N, K] or [batch, N, K]
  readonly bias: TensorSpec | null // [N]
  readonly output: TensorSpec // [M, N], or [batch, M, N] when a or b has a batch
  readonly transposeA: boolean
  readonly transposeB: boolean
  readonly alpha: number
  readonly epilogue: Activation | null
  readonly tiles: MatmulTiles
}

export interface MatmulOptions {
  readonly a: Tensor
  readonly b: Tensor
  readonly bias?: Tensor
  readonly transposeA?: boolean
  readonly transposeB?: boolean
  /** factor of the product (1) */
  readonly alpha?: number
  /** applied to each tile of alpha · a · b + bias, in f32, before it is rounded and stored: see activations.ts, or any function over values */
  readonly epilogue?: Activation
  /** dtype of the result; that of `a` by default */
  readonly outputDType?: StorageDType
  /** where to write; a new tensor by default */
  readonly output?: Tensor
  readonly tiles?: MatmulTiles
}

const floats: readonly StorageDType[] = ['f32', 'f16', 'bf16']

/**
 * output = epilogue(alpha · op(a) · op(b) + bias) with op(x) = x or xᵀ, accumulated in f32. `a` is [M, K] ([K, M] with
 * `transposeA`), `b` is [K, N] ([N, K] with `transposeB`), `bias` [N]; either or both operands may have a leading batch
 * dimension. A view whose last two dimensions were exchanged (`x.transpose(0, 1)`) is taken as it lies. Operands are f32, f16
 * or bf16, mixed ones are widened to f32. Returns the output, [M, N] or [batch, M, N].
 *
 * Throws `shape` (sizes or ranks that do not fit, a last dimension that is not contiguous), `dtype`, and what `Device.run` throws.
 */
export function matmul(device: Device, options: MatmulOptions): Tensor {
  const { bias } = options
  const [a, b] = [rowMajor(options.a, options.transposeA), rowMajor(options.b, options.transposeB)]
  try {
    const shape = outputShape(a.matrix, b.matrix, a.transposed, b.transposed)
    const dtype = options.outputDType ?? options.a.dtype
    const kernel = matmulKernel({
      a: a.matrix,
      b: b.matrix,
      bias: bias ?? null,
      output: options.output ?? { dtype, shape, strides: contiguousStrides(shape), offset: 0 },
      transposeA: a.transposed,
      transposeB: b.transposed,
      alpha: options.alpha ?? 1,
      epilogue: options.epilogue ?? null,
      tiles: options.tiles ?? matmulTiles(device.kind, device.info.tier, shape.at(-2) as number),
    })
    const output = options.output ?? device.empty(shape, dtype)
    device.run(kernel, { a: a.matrix, b: b.matrix, output, ...(bias && { bias }) })
    return output
  } finally {
    for (const { matrix, isView } of [a, b]) if (isView) matrix.dispose()
  }
}

/** The kernel of `matmul`. Throws `shape` and `dtype`. */
export function matmulKernel(spec: MatmulSpec): Kernel {
  const { a, b, bias, output, tiles } = spec
  const shape = outputShape(a, b, spec.transposeA, spec.transposeB)
  const show = () => describe({ a, b, ...(bias && { bias }), output })
  if (output.shape.join() !== shape.join())
    throw new FoveaError('shape', 'matmul', `output must be [${shape.join(', ')}], got ${show()}`)
  if (bias && (bias.shape.length !== 1 || bias.shape[0] !== shape.at(-1)))
    throw new FoveaError('shape', 'matmul', `bias must be [${shape.at(-1)}], got ${show()}`)
  for (const tensor of [a, b, output, ...(bias ? [bias] : [])]) {
    if (!floats.includes(tensor.dtype))
      throw new FoveaError('dtype', 'matmul', `takes f32, f16 and bf16, got ${show()}`)
    if (tensor.strides.at(-1) !== 1 && tensor.shape.at(-1) !== 1)
      throw new FoveaError('shape', 'matmul', `last dimensions must be contiguous, got ${show()}`)
  }
  const [batch, M, N] = shape.length === 3 ? (shape as [number, number, number]) : [1, ...(shape as [number, number])]
  return {
    program: matmulProgram(spec),
    grid: [Math.ceil(N / tiles.tileN), Math.ceil(M / tiles.tileM), batch],
    scalars: { alpha: spec.alpha },
  }
}

/**
 * One program owns a tile [tileM, tileN] of the output and streams tileK columns of a and rows of b at a time.
 * Traffic: a is read N / tileN times, b M / tileM times, output written once.
 */
function matmulProgram(spec: MatmulSpec): Program {
  const { tileM, tileN, tileK } = spec.tiles
  return defineProgram('matmul', (p) => {
    const a = operand(p, 'a', spec.a)
    const b = operand(p, 'b', spec.b)
    const bias = spec.bias && p.input('bias', spec.bias.dtype, [null])
    const output = p.output(
      'output',
      spec.output.dtype,
      spec.output.shape.map(() => null),
      { alignment: alignmentOf(spec.output) },
    )
    const alpha = p.scalar('alpha', 'f32')
    const [mStart, nStart, batch] = [p.programId(1).mul(tileM), p.programId(0).mul(tileN), p.programId(2)]
    const at = (tensor: TensorSpec, row: Value, col: Value) =>
      tensor.shape.length === 3 ? [batch, row, col] : [row, col]
    // a transpose costs nothing as an operand of dot
    const tile = (
      param: typeof a,
      from: TensorSpec,
      transposed: boolean,
      row: Value,
      rows: number,
      col: Value,
      cols: number,
    ) => {
      const x = transposed
        ? load(param, at(from, rowRange(col, cols), colRange(row, rows))).T
        : load(param, at(from, rowRange(row, rows), colRange(col, cols)))
      return spec.a.dtype === spec.b.dtype ? x : x.cast('f32')
    }
    const depth = sizeOf(a, spec.a.shape.length - (spec.transposeA ? 2 : 1))

    const { acc } = loop({ to: depth, step: tileK }, { acc: zeros([tileM, tileN]) }, (k, carried) => {
      const aTile = tile(a, spec.a, spec.transposeA, mStart, tileM, k, tileK) //  [tileM, tileK]
      const bTile = tile(b, spec.b, spec.transposeB, k, tileK, nStart, tileN) //  [tileK, tileN]
      return { acc: carried.acc.add(dot(aTile, bTile)) } //                       [tileM, tileN]
    })
    const n = colRange(nStart, tileN) //                                          [1, tileN]
    let y = acc.mul(alpha)
    if (bias) y = y.add(load(bias, [n]))
    if (spec.epilogue) y = spec.epilogue(y)
    p.emit(store(output, at(spec.output, rowRange(mStart, tileM), n), y))
  })
}

/** A view whose last two dimensions were exchanged, as the matrix that lies in memory. */
function rowMajor(x: Tensor, transposed = false): { matrix: Tensor; transposed: boolean; isView: boolean } {
  const rank = x.shape.length
  const isView = rank >= 2 && x.strides.at(-1) !== 1 && x.strides.at(-2) === 1
  return isView
    ? { matrix: x.transpose(rank - 2, rank - 1), transposed: !transposed, isView }
    : { matrix: x, transposed, isView }
}

function operand(p: ProgramBuilder, name: string, spec: TensorSpec) {
  return p.input(
    name,
    spec.dtype,
    spec.shape.map(() => null),
    { alignment: alignmentOf(spec) },
  )
}

/** Shape of the product; throws `shape` when the operands do not fit. */
function outputShape(a: TensorSpec, b: TensorSpec, transposeA: boolean, transposeB: boolean): number[] {
  const fail = (what: string) => {
    const flags = `${transposeA ? ', transposeA' : ''}${transposeB ? ', transposeB' : ''}`
    return new FoveaError('shape', 'matmul', `${what}, got ${describe({ a, b })}${flags}`)
  }
  const ranks = [a.shape.length, b.shape.length]
  if (ranks.some((rank) => rank !== 2 && rank !== 3)) throw fail('operands must be matrices, or batches of them')
  const [M, aDepth] = [a.shape.at(transposeA ? -1 : -2) as number, a.shape.at(transposeA ? -2 : -1)]
  const [N, bDepth] = [b.shape.at(transposeB ? -2 : -1) as number, b.shape.at(transposeB ? -1 : -2)]
  if (aDepth !== bDepth) throw fail(`inner sizes must agree, ${aDepth} and ${bDepth} do not`)
  const batches = [a, b].flatMap((x) => (x.shape.length === 3 ? [x.shape[0] as number] : []))
  if (new Set(batches).size > 1) throw fail('batch sizes must agree')
  return [...batches.slice(0, 1), M, N]
}

function describe(tensors: Readonly<Record<string, TensorSpec>>): string {
  return Object.entries(tensors)
    .map(
      ([name, { dtype, shape, strides }]) => `${name} ${dtype} [${shape.join(', ')}] strides [${strides.join(', ')}]`,
    )
    .join(', ')
}
