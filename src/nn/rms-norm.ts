import type { Device, Tensor } from '../device/device.ts'
import {
  alignmentOf,
  colRange,
  contiguousStrides,
  defineProgram,
  FoveaError,
  type Kernel,
  load,
  loop,
  type Program,
  rowRange,
  type StorageDType,
  sizeOf,
  store,
  type TensorSpec,
  zeros,
} from '../tile/index.ts'

/** Everything of a normalisation but the data. Sizes, strides, eps and offset are run-time values. */
export interface RmsNormSpec {
  readonly x: TensorSpec // [batch, N, D]
  readonly weight: TensorSpec | null // [D]
  readonly output: TensorSpec // [batch, N, D]
  readonly eps: number
  readonly offset: number
  readonly tileN: number
  readonly tileD: number
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
}

/**
 * y = x / √(mean(x²) + eps) · (offset + weight) over the last dimension (Zhang and Sennrich 2019, arXiv 1910.07467), in f32.
 * `x` is [..., D] of f32, f16 or bf16 with a contiguous last dimension, `weight` [D]; without a weight its factor is 1.
 * Returns a new tensor of x's shape.
 *
 * Throws `shape`, `dtype`, `unsupported` (leading dimensions whose strides are not those of two nested ones), and what
 * `Device.run` throws.
 */
export function rmsNorm(device: Device, options: RmsNormOptions): Tensor {
  const { x, weight } = options
  const rows = asMatrices(x)
  try {
    const dtype = options.outputDType ?? x.dtype
    const kernel = rmsNormKernel({
      x: rows,
      weight: weight ?? null,
      output: { dtype, shape: rows.shape, strides: contiguousStrides(rows.shape), offset: 0 },
      eps: options.eps ?? 1e-6,
      offset: options.offset ?? 0,
      ...rmsNormTiles(device.kind),
    })
    const output = device.empty(x.shape, dtype)
    const flat = output.reshape(rows.shape)
    device.run(kernel, { x: rows, output: flat, ...(weight && { weight }) })
    flat.dispose()
    return output
  } finally {
    rows.dispose()
  }
}

/** Default tiles: the same for every width, so that another width compiles nothing. */
export function rmsNormTiles(kind: Device['kind']): { tileN: number; tileD: number } {
  return kind === 'webgpu' ? { tileN: 4, tileD: 256 } : { tileN: 1, tileD: 512 }
}

/** The kernel of `rmsNorm`, x being [batch, N, D]. Throws `shape` and `dtype`. */
export function rmsNormKernel(spec: RmsNormSpec): Kernel {
  const { x, weight, output } = spec
  const show = () => [x, ...(weight ? [weight] : []), output].map(describe).join(', ')
  if (x.shape.length !== 3 || output.shape.join() !== x.shape.join())
    throw new FoveaError('shape', 'rmsNorm', `x and output must be [batch, N, D], got ${show()}`)
  if (weight && (weight.shape.length !== 1 || weight.shape[0] !== x.shape[2]))
    throw new FoveaError('shape', 'rmsNorm', `weight must be [${x.shape[2]}], got ${show()}`)
  for (const tensor of [x, output, ...(weight ? [weight] : [])]) {
    if (!['f32', 'f16', 'bf16'].includes(tensor.dtype))
      throw new FoveaError('dtype', 'rmsNorm', `takes f32, f16 and bf16, got ${show()}`)
    if (tensor.strides.at(-1) !== 1 && (tensor.shape.at(-1) as number) > 1)
      throw new FoveaError('shape', 'rmsNorm', `the last dimension must be contiguous, got ${show()}`)
  }
  const [batch, n, d] = x.shape as readonly [number, number, number]
  return {
    program: rmsNormProgram(spec),
    grid: [Math.ceil(n / spec.tileN), d === 0 ? 0 : batch, 1],
    scalars: { eps: spec.eps, offset: spec.offset },
  }
}

/** One program owns tileN rows and walks over their columns twice: to sum squares, and to scale. Traffic: x twice (once from cache), output once. */
function rmsNormProgram(spec: RmsNormSpec): Program {
  const { tileN, tileD } = spec
  return defineProgram('rms-norm', (p) => {
    const x = p.input('x', spec.x.dtype, [null, null, null], { alignment: alignmentOf(spec.x) })
    const weight = spec.weight && p.input('weight', spec.weight.dtype, [null])
    const output = p.output('output', spec.output.dtype, [null, null, null], { alignment: alignmentOf(spec.output) })
    const eps = p.scalar('eps', 'f32')
    const offset = p.scalar('offset', 'f32')
    const rows = rowRange(p.programId(0).mul(tileN), tileN) //                          [tileN, 1]
    const batch = p.programId(1)
    const width = sizeOf(x, 2)
    const columns = { to: width, step: tileD }

    const { squares } = loop(columns, { squares: zeros([tileN, tileD]) }, (from, carried) => {
      const part = load(x, [batch, rows, colRange(from, tileD)]).cast('f32') // [tileN, tileD]
      return { squares: carried.squares.add(part.mul(part)) }
    })
    const inverse = squares.rowSum().div(width).add(eps).rsqrt() //                     [tileN, 1]
    loop(
      columns,
      {},
      (from, _, emit) => {
        const d = colRange(from, tileD) //                                   [1, tileD]
        const y = load(x, [batch, rows, d]).mul(inverse)
        emit(store(output, [batch, rows, d], weight ? y.mul(load(weight, [d]).add(offset)) : y))
        return {}
      },
      p.emit,
    )
  })
}

/** x as [batch, N, D]: leading dimensions that lie like one are taken as one. */
function asMatrices(x: Tensor): Tensor {
  if (x.shape.length === 0)
    throw new FoveaError('shape', 'rmsNorm', `x must have a last dimension to normalise, got ${describe(x)}`)
  const leading: { size: number; stride: number }[] = []
  for (let dim = x.shape.length - 2; dim >= 0; dim--) {
    const [size, stride] = [x.shape[dim] as number, x.strides[dim] as number]
    const inner = leading[0]
    if (inner && (inner.size === 1 || size === 1 || stride === inner.size * inner.stride))
      leading[0] = { size: inner.size * size, stride: inner.size === 1 ? stride : inner.stride }
    else leading.unshift({ size, stride })
  }
  while (leading.length < 2) leading.unshift({ size: 1, stride: 0 })
  if (leading.length > 2)
    throw new FoveaError('unsupported', 'rmsNorm', `leading dimensions must lie like at most two, got ${describe(x)}`)
  return x.view({
    shape: [...leading.map(({ size }) => size), x.shape.at(-1) as number],
    strides: [...leading.map(({ stride }) => stride), x.strides.at(-1) as number],
    offset: x.offset,
  })
}

function describe({ dtype, shape, strides }: TensorSpec): string {
  return `${dtype} [${shape.join(', ')}] strides [${strides.join(', ')}]`
}
