import type { Device, Tensor } from '../device/device.ts'
import {
  alignmentOf,
  checkFields,
  colRange,
  defineProgram,
  type FieldsOf,
  type Kernel,
  load,
  loop,
  type Program,
  rowRange,
  type StorageDType,
  sizeOf,
  store,
  type TensorSpec,
  type Value,
  zeros,
} from '../tile/index.ts'
import { checkRows, type RowTiles, rowGrid, rowTiles, runRows } from './row-matrices.ts'

/** Everything of a normalisation but the data. Strides, eps and offset are run-time values, and so are sizes unless rows are `whole`. */
export interface RmsNormSpec extends RowTiles {
  readonly x: TensorSpec // [batch, N, D]
  readonly weight: TensorSpec | null // [D]
  readonly output: TensorSpec // [batch, N, D]
  readonly eps: number
  readonly offset: number
}

export interface RmsNormOptions {
  readonly x: Tensor
  readonly weight?: Tensor
  /** added to the mean of squares (1e-6) */
  readonly eps?: number
  /** added to the weight (0; Gemma's models store weight − 1 and take 1) */
  readonly offset?: number
  /** dtype of the result; that of `x` by default */
  readonly outputDType?: StorageDType
  /** where to write, of x's shape and any float dtype, contiguous; a new tensor by default */
  readonly output?: Tensor
}

/**
 * y = x / √(mean(x²) + eps) · (offset + weight) over the last dimension (Zhang and Sennrich 2019, arXiv 1910.07467), in f32.
 * `x` is [..., D] of f32, f16 or bf16 with a contiguous last dimension, `weight` [D]; without a weight its factor is 1.
 * Returns the output, by default a new tensor of x's shape.
 *
 * Throws `shape`, `dtype`, `unsupported` (leading dimensions whose strides are not those of two nested ones), and what
 * `Device.run` throws (an output that shares memory with `x` among it).
 */
export function rmsNorm(device: Device, options: RmsNormOptions): Tensor {
  checkFields('rmsNorm', 'options', options, rmsNormFields)
  const { x, weight } = options
  return runRows(device, 'rmsNorm', options, weight ? { weight } : {}, (rows, output) =>
    rmsNormKernel({
      x: rows,
      weight: weight ?? null,
      output,
      eps: options.eps ?? 1e-6,
      offset: options.offset ?? 0,
      ...rowTiles(device.kind, x.shape),
    }),
  )
}

/** The kernel of `rmsNorm`, x being [batch, N, D]. Throws `shape` and `dtype`. */
export function rmsNormKernel(spec: RmsNormSpec): Kernel {
  checkFields('rmsNormKernel', 'spec', spec, rmsNormSpecFields)
  checkRows('rmsNorm', spec.x, spec.output, { weight: spec.weight })
  return {
    program: rmsNormProgram(spec),
    grid: rowGrid(spec.x, spec.tileN),
    scalars: { eps: spec.eps, offset: spec.offset },
  }
}

/**
 * One program owns tileN rows. Whole rows are one tile, read once; longer ones are walked twice, to sum squares and to scale
 * (the second time from cache). Traffic: x and output.
 */
function rmsNormProgram(spec: RmsNormSpec): Program {
  const { tileN, tileD, whole } = spec
  return defineProgram('rms-norm', (p) => {
    const sizes = [null, null, whole ? (spec.x.shape[2] as number) : null]
    const x = p.input('x', spec.x.dtype, sizes, { alignment: alignmentOf(spec.x) })
    const weight = spec.weight && p.input('weight', spec.weight.dtype, sizes.slice(2))
    const output = p.output('output', spec.output.dtype, sizes, { alignment: alignmentOf(spec.output) })
    const eps = p.scalar('eps', 'f32')
    const offset = p.scalar('offset', 'f32')
    const rows = rowRange(p.programId(0).mul(tileN), tileN) //                  [tileN, 1]
    const batch = p.programId(1)
    const width = sizeOf(x, 2)

    const part = (from: Value | number) => load(x, [batch, rows, colRange(from, tileD)]).cast('f32') // [tileN, tileD]
    const inverse = (squares: Value) => squares.rowSum().div(width).add(eps).rsqrt() //               [tileN, 1]
    const scaled = (y: Value, from: Value | number) => {
      const d = colRange(from, tileD) //                                        [1, tileD]
      return store(output, [batch, rows, d], weight ? y.mul(load(weight, [d]).add(offset)) : y)
    }
    if (whole) {
      const row = part(0)
      return p.emit(scaled(row.mul(inverse(row.mul(row))), 0))
    }
    const columns = { to: width, step: tileD }
    const { squares } = loop(columns, { squares: zeros([tileN, tileD]) }, (from, carried) => {
      const row = part(from)
      return { squares: carried.squares.add(row.mul(row)) }
    })
    const factor = inverse(squares)
    loop(
      columns,
      {},
      (from, _, emit) => {
        emit(scaled(part(from).mul(factor), from))
        return {}
      },
      p.emit,
    )
  })
}

const rmsNormFields: FieldsOf<RmsNormOptions> = {
  x: true,
  weight: true,
  eps: true,
  offset: true,
  outputDType: true,
  output: true,
}

const rmsNormSpecFields: FieldsOf<RmsNormSpec> = {
  x: true,
  weight: true,
  output: true,
  eps: true,
  offset: true,
  tileN: true,
  tileD: true,
  whole: true,
}
