import type { Device, Tensor } from '../device/device.ts'
import { contiguousStrides, FoveaError, type Kernel, type StorageDType, type TensorSpec } from '../tile/index.ts'
import { viewAs } from './view-as.ts'

/** What a row-wise operation reads and writes: x [..., D]; `output` of the same shape, or a new tensor of `outputDType`. */
export interface RowOperands {
  readonly x: Tensor
  readonly output?: Tensor
  readonly outputDType?: StorageDType
}

/**
 * Runs the kernel that `make` gives for x and the output, both as [batch, N, D], on them and `vectors`; returns the output.
 * What `make` refuses is refused before anything is allocated.
 */
export function runRows(
  device: Device,
  where: string,
  operands: RowOperands,
  vectors: Readonly<Record<string, Tensor>>,
  make: (x: TensorSpec, output: TensorSpec) => Kernel,
): Tensor {
  const { x, output: given } = operands
  if (given && given.shape.join() !== x.shape.join())
    throw new FoveaError('shape', where, `output must be [${x.shape.join(', ')}], got ${describeRows(given)}`)
  const dtype = operands.outputDType ?? x.dtype
  const planned = given ?? { dtype, shape: x.shape, strides: contiguousStrides(x.shape), offset: 0 }
  const [rows, outputRows] = rowMatrices(where, [x, planned]) as [TensorSpec, TensorSpec]
  if (!given) make(rows, outputRows)
  const output = given ?? device.empty(x.shape, dtype)
  const [from, to] = [viewAs(x, rows), viewAs(output, outputRows)]
  try {
    device.run(make(from, to), { x: from, output: to, ...vectors })
  } finally {
    from.dispose()
    to.dispose()
  }
  return output
}

/**
 * Tensors [..., D] of one shape as [batch, N, D] with batch ≤ N, leading dimensions that lie like one in all of them taken as one. Throws
 * `shape` for scalars, `unsupported` for leading dimensions that lie like no two nested ones.
 */
export function rowMatrices(where: string, tensors: readonly TensorSpec[]): TensorSpec[] {
  const [{ shape }] = tensors as [TensorSpec]
  if (shape.length === 0)
    throw new FoveaError('shape', where, `x must have a last dimension to normalise, got ${tensors.map(describeRows)}`)
  const leading: { size: number; strides: readonly number[] }[] = []
  for (let dim = shape.length - 2; dim >= 0; dim--) {
    const size = shape[dim] as number
    const strides = tensors.map((tensor) => tensor.strides[dim] as number)
    const inner = leading[0]
    if (inner && inner.size === 1) leading[0] = { size, strides }
    else if (inner && size !== 1 && strides.every((stride, i) => stride === inner.size * (inner.strides[i] as number)))
      leading[0] = { size: inner.size * size, strides: inner.strides }
    else if (!inner || size !== 1) leading.unshift({ size, strides })
  }
  while (leading.length < 2) leading.unshift({ size: 1, strides: tensors.map(() => 0) })
  if (leading.length > 2)
    throw new FoveaError(
      'unsupported',
      where,
      `leading dimensions must lie like at most two, got ${tensors.map(describeRows).join(', ')}`,
    )
  // programs own tiles of the longer one: a grid takes 65,535 of the other
  if ((leading[0]?.size ?? 0) > (leading[1]?.size ?? 0)) leading.reverse()
  return tensors.map(({ dtype, strides, offset }, i) => ({
    dtype,
    shape: [...leading.map(({ size }) => size), shape.at(-1) as number],
    strides: [...leading.map((dim) => dim.strides[i] as number), strides.at(-1) as number],
    offset,
  }))
}

/** Tensors of a row-wise kernel: x and output [batch, N, D], each of `vectors` [D], all float with contiguous rows. Throws `shape`, `dtype`. */
export function checkRows(
  where: string,
  x: TensorSpec,
  output: TensorSpec,
  vectors: Readonly<Record<string, TensorSpec | null>>,
): void {
  const given = Object.entries(vectors).flatMap(([name, tensor]) => (tensor ? [{ name, tensor }] : []))
  const all = [x, ...given.map(({ tensor }) => tensor), output]
  const show = () => all.map(describeRows).join(', ')
  if (x.shape.length !== 3 || output.shape.join() !== x.shape.join())
    throw new FoveaError('shape', where, `x and output must be [batch, N, D], got ${show()}`)
  for (const { name, tensor } of given)
    if (tensor.shape.length !== 1 || tensor.shape[0] !== x.shape[2])
      throw new FoveaError('shape', where, `${name} must be [${x.shape[2]}], got ${show()}`)
  for (const tensor of all) {
    if (!['f32', 'f16', 'bf16'].includes(tensor.dtype))
      throw new FoveaError('dtype', where, `takes f32, f16 and bf16, got ${show()}`)
    if (tensor.strides.at(-1) !== 1 && (tensor.shape.at(-1) as number) > 1)
      throw new FoveaError('shape', where, `the last dimension must be contiguous, got ${show()}`)
  }
}

/** How a row-wise kernel walks x [batch, N, D]. */
export interface RowTiles {
  readonly tileN: number
  readonly tileD: number
  /** a row is one tile, loaded once and kept: the program is made for this D */
  readonly whole: boolean
}

/** Default tiles: rows of up to 8,192 elements are read once; longer ones in steps, by one program for every width. */
export function rowTiles(kind: 'webgpu' | 'wasm' | 'interpret', shape: readonly number[]): RowTiles {
  const [n, d] = [shape.at(-2) ?? 1, shape.at(-1) as number]
  if (d > 8192)
    return kind === 'webgpu' ? { tileN: 1, tileD: 2048, whole: false } : { tileN: 1, tileD: 512, whole: false }
  const tileD = Math.max(4, Math.ceil(d / 4) * 4)
  // a workgroup has invocations for about a thousand elements at once
  const tileN = kind === 'webgpu' && n > 1 ? Math.min(16, 2 ** Math.floor(Math.log2(Math.max(1, 1024 / tileD)))) : 1
  return { tileN, tileD, whole: true }
}

/** The grid of a row-wise kernel over x [batch, N, D]. */
export function rowGrid({ shape }: TensorSpec, tileN: number): Kernel['grid'] {
  const [batch, n, d] = shape as readonly [number, number, number]
  return [Math.ceil(n / tileN), d === 0 ? 0 : batch, 1]
}

/** "f32 [4, 6] strides [6, 1]" */
function describeRows({ dtype, shape, strides }: TensorSpec): string {
  return `${dtype} [${shape.join(', ')}] strides [${strides.join(', ')}]`
}
