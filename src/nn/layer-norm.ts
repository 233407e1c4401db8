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
export interface LayerNormSpec extends RowTiles {
  readonly x: TensorSpec // [batch, N, D]
  readonly weight: TensorSpec | null // [D]
  readonly bias: TensorSpec | null // [D]
  readonly output: TensorSpec // [batch, N, D]
  readonly eps: number
  readonly offset: number
}

export interface LayerNormOptions {
  readonly x: Tensor
  readonly weight?: Tensor
  readonly bias?: Tensor
  /** added to the variance (1e-5) */
  readonly eps?: number
  /** added to the weight (0) */
  readonly offset?: number
  /** dtype of the result; that of `x` by default */
  readonly outputDType?: StorageDType
  /** where to write, of x's shape and any float dtype; a new tensor by default */
  readonly output?: Tensor
}

/**
 * y = (x − mean(x)) / √(mean((x − mean(x))²) + eps) · (offset + weight) + bias over the last dimension (Ba, Kiros and Hinton
 * 2016, arXiv 1607.06450), in f32; the variance is that of the centred row, so that a large mean costs no digits of it.
 * `x` is [..., D] of f32, f16 or bf16 with a contiguous last dimension, `weight` and `bias` [D]; without them their factor is
 * 1 and their term 0. Returns the output, by default a new tensor of x's shape.
 *
 * Throws `shape`, `dtype`, `unsupported` (leading dimensions whose strides are not those of two nested ones), and what
 * `Device.run` throws (an output that shares memory with `x` among it).
 */
export function layerNorm(device: Device, options: LayerNormOptions): Tensor {
  checkFields('layerNorm', 'options', options, layerNormFields)
  const { x, weight, bias } = options
  const vectors = { ...(weight && { weight }), ...(bias && { bias }) }
  return runRows(device, 'layerNorm', options, vectors, (rows, output) =>
    layerNormKernel({
      x: rows,
      weight: weight ?? null,
      bias: bias ?? null,
      output,
      eps: options.eps ?? 1e-5,
      offset: options.offset ?? 0,
      ...rowTiles(device.kind, x.shape),
    }),
  )
}

/** The kernel of `layerNorm`, x being [batch, N, D]. Throws `shape` and `dtype`. */
export function layerNormKernel(spec: LayerNormSpec): Kernel {
  checkFields('layerNormKernel', 'spec', spec, layerNormSpecFields)
  checkRows('layerNorm', spec.x, spec.output, { weight: spec.weight, bias: spec.bias })
  return {
    program: layerNormProgram(spec),
    grid: rowGrid(spec.x, spec.tileN),
    scalars: { eps: spec.eps, offset: spec.offset },
  }
}

/**
 * One program owns tileN rows. Whole rows are one tile, read once; longer ones are walked three times, for the mean, the
 * variance and the result (from cache after the first). Traffic: x and output.
 */
function layerNormProgram(spec: LayerNormSpec): Program {
  const { tileN, tileD, whole } = spec
  return defineProgram('layer-norm', (p) => {
    const sizes = [null, null, whole ? (spec.x.shape[2] as number) : null]
    const x = p.input('x', spec.x.dtype, sizes, { alignment: alignmentOf(spec.x) })
    const weight = spec.weight && p.input('weight', spec.weight.dtype, sizes.slice(2))
    const bias = spec.bias && p.input('bias', spec.bias.dtype, sizes.slice(2))
    const output = p.output('output', spec.output.dtype, sizes, { alignment: alignmentOf(spec.output) })
    const eps = p.scalar('eps', 'f32')
    const offset = p.scalar('offset', 'f32')
    const rows = rowRange(p.programId(0).mul(tileN), tileN) //                  [tileN, 1]
    const batch = p.programId(1)
    const width = sizeOf(x, 2)

    const part = (d: Value) => load(x, [batch, rows, d]).cast('f32') //         [tileN, tileD]
    // beyond the row there is nothing to centre: 0 must stay 0
    const centred = (row: Value, mean: Value, d: Value) => d.lt(width).select(row.sub(mean), 0)
    const mean = (sums: Value) => sums.rowSum().div(width) //                   [tileN, 1]
    const inverse = (squares: Value) => mean(squares).add(eps).rsqrt() //       [tileN, 1]
    const result = (y: Value, d: Value) => {
      const z = weight ? y.mul(load(weight, [d]).add(offset)) : y
      return store(output, [batch, rows, d], bias ? z.add(load(bias, [d])) : z)
    }
    if (whole) {
      const d = colRange(0, tileD) //                                           [1, tileD]
      const row = part(d)
      const difference = centred(row, mean(row), d)
      return p.emit(result(difference.mul(inverse(difference.mul(difference))), d))
    }
    const columns = { to: width, step: tileD }
    const { sums } = loop(columns, { sums: zeros([tileN, tileD]) }, (from, carried) => ({
      sums: carried.sums.add(part(colRange(from, tileD))),
    }))
    const centre = mean(sums)
    const { squares } = loop(columns, { squares: zeros([tileN, tileD]) }, (from, carried) => {
      const d = colRange(from, tileD)
      const difference = centred(part(d), centre, d)
      return { squares: carried.squares.add(difference.mul(difference)) }
    })
    const factor = inverse(squares)
    loop(
      columns,
      {},
      (from, _, emit) => {
        const d = colRange(from, tileD)
        emit(result(part(d).sub(centre).mul(factor), d))
        return {}
      },
      p.emit,
    )
  })
}

const layerNormFields: FieldsOf<LayerNormOptions> = {
  x: true,
  weight: true,
  bias: true,
  eps: true,
  offset: true,
  outputDType: true,
  output: true,
}

const layerNormSpecFields: FieldsOf<LayerNormSpec> = {
  x: true,
  weight: true,
  bias: true,
  output: true,
  eps: true,
  offset: true,
  tileN: true,
  tileD: true,
  whole: true,
}
