import type { Device, Tensor } from '../device/device.ts'
import {
  checkFields,
  contiguousStrides,
  type FieldsOf,
  FoveaError,
  type Kernel,
  type StorageDType,
  type TensorSpec,
} from '../tile/index.ts'
import type { Activation } from './activations.ts'
import { type MatmulSpec, matmulProgram } from './matmul-program.ts'
import { type MatmulTiles, productTiles } from './matmul-tiles.ts'

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
  /** added to what the output, which is f32, holds; epilogue and bias come before that (false) */
  readonly accumulate?: boolean
  readonly tiles?: MatmulTiles
}

const floats: readonly StorageDType[] = ['f32', 'f16', 'bf16']

/**
 * output = epilogue(alpha · op(a) · op(b) + bias) with op(x) = x or xᵀ, accumulated in f32. `a` is [M, K] ([K, M] with
 * `transposeA`), `b` is [K, N] ([N, K] with `transposeB`), `bias` [N]; either or both operands may have a leading batch
 * dimension. A view whose last two dimensions were exchanged (`x.transpose(0, 1)`) is taken as it lies. Operands are f32, f16
 * or bf16, mixed ones are widened to f32. With `accumulate`, output += instead of =. Returns the output, [M, N] or
 * [batch, M, N].
 *
 * Throws `shape` (sizes or ranks that do not fit, a last dimension that is not contiguous), `dtype`, and what `Device.run` throws.
 */
export function matmul(device: Device, options: MatmulOptions): Tensor {
  checkFields('matmul', 'options', options, matmulFields)
  const { bias, accumulate = false } = options
  if (accumulate && options.output?.dtype !== 'f32')
    throw new FoveaError('dtype', 'matmul', `accumulates in a given f32 output, got ${options.output?.dtype ?? 'none'}`)
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
      accumulate,
      tiles: options.tiles ?? defaultTiles(device, a, b, shape),
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
  checkFields('matmulKernel', 'spec', spec, matmulSpecFields)
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

function defaultTiles({ kind, info }: Device, a: Operand, b: Operand, shape: readonly number[]) {
  const [N, M, batch = 1] = shape.toReversed() as [number, number, number?]
  const K = a.matrix.shape.at(a.transposed ? -2 : -1) as number
  const dtypes = [a.matrix.dtype, b.matrix.dtype]
  return productTiles({ kind, tier: info.tier, dtypes, batch, M, N, K, transposeA: a.transposed })
}

interface Operand {
  readonly matrix: Tensor
  readonly transposed: boolean
  readonly isView: boolean
}

/** A view whose last two dimensions were exchanged, as the matrix that lies in memory. */
function rowMajor(x: Tensor, transposed = false): Operand {
  const rank = x.shape.length
  const isView = rank >= 2 && x.strides.at(-1) !== 1 && x.strides.at(-2) === 1
  return isView
    ? { matrix: x.transpose(rank - 2, rank - 1), transposed: !transposed, isView }
    : { matrix: x, transposed, isView }
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

const matmulFields: FieldsOf<MatmulOptions> = {
  a: true,
  b: true,
  bias: true,
  transposeA: true,
  transposeB: true,
  alpha: true,
  epilogue: true,
  outputDType: true,
  output: true,
  accumulate: true,
  tiles: true,
}

const matmulSpecFields: FieldsOf<MatmulSpec> = {
  a: true,
  b: true,
  bias: true,
  output: true,
  transposeA: true,
  transposeB: true,
  alpha: true,
  epilogue: true,
  accumulate: true,
  tiles: true,
}
