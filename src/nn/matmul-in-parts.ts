import type { Device, Tensor } from '../device/device.ts'
import { checkFields, type FieldsOf, FoveaError } from '../tile/index.ts'
import { type MatmulOptions, matmul } from './matmul.ts'
import { wideTile } from './matmul-tiles.ts'
import { sumRows } from './sum-rows.ts'

export interface MatmulInPartsOptions
  extends Pick<MatmulOptions, 'a' | 'b' | 'transposeA' | 'transposeB' | 'alpha' | 'accumulate' | 'tiles'> {
  readonly output: Tensor // [M, N] without gaps, f32 where it is added to
  /** f32 [parts, M, N], the sums of each part; one part is a plain product */
  readonly partials: Tensor
}

/** How much a product is, to say in how many parts it is done best. */
export interface ProductSize {
  readonly kind: Device['kind']
  readonly M: number
  readonly N: number
  /** inner size */
  readonly K: number
}

/**
 * A good number of parts: 1 where the output has tiles enough for all cores, else as many as leave each a part worth
 * starting for; a power of two, which mostly divides the tokens of a batch, so that no short part is left over.
 */
export function matmulParts(size: ProductSize): number {
  checkFields('matmulParts', 'size', size, productSizeFields)
  const { kind, M, N, K } = size
  const gpu = kind === 'webgpu'
  const tiles = gpu ? Math.ceil(M / 128) * Math.ceil(N / wideTile(N)) : Math.ceil(M / 96) * Math.ceil(N / 64)
  // H200, 1,024 × 384 from 16,384: 4 parts 105 TFLOP/s, 8 parts (128 programs) 201, 16 parts 187, 32 parts 161
  const [wanted, shortest] = gpu ? [128, 512] : [8, 1024]
  const most = Math.max(1, Math.min(wanted / tiles, K / shortest, 64))
  return 2 ** Math.floor(Math.log2(most))
}

/**
 * `matmul` for little output and a long inner size (the gradient of a weight: its inner size is tokens): the inner size is cut
 * into parts, each multiplied by programs of its own, and the parts are added in their order. Traffic beyond that of `matmul`:
 * the partials, written and read once. Nothing is allocated.
 *
 * Throws `shape`, `dtype`, and what `matmul` throws.
 */
export function matmulInParts(device: Device, options: MatmulInPartsOptions): void {
  checkFields('matmulInParts', 'options', options, matmulInPartsFields)
  const { output, partials, accumulate = false, ...product } = options
  const [parts = 0, ...shape] = partials.shape
  if (partials.dtype !== 'f32' || parts === 0 || shape.length !== 2 || shape.join() !== output.shape.join())
    throw new FoveaError(
      'shape',
      'matmulInParts',
      `partials must be f32 [parts, ${output.shape.join(', ')}], got ${partials.dtype} [${partials.shape.join(', ')}]`,
    )
  if (parts === 1) {
    matmul(device, { ...product, output, accumulate })
    return
  }
  const dims = { a: options.transposeA ? 0 : 1, b: options.transposeB ? 1 : 0 } as const
  const depth = options.a.shape[dims.a] ?? 0
  if (depth < parts)
    throw new FoveaError('shape', 'matmulInParts', `an inner size of ${depth} cannot be cut into ${parts} parts`)
  // equal parts, of whole vectors where they can be; the last one takes what is left over
  const even = depth % parts === 0
  const length = even ? depth / parts : Math.floor(depth / parts / 8) * 8 || 1
  const equal = even ? parts : parts - 1
  const views: Tensor[] = []
  const view = (made: Tensor) => {
    views.push(made)
    return made
  }
  const cut = (name: 'a' | 'b', from: number, count: number, size: number) => {
    const { shape, strides, offset } = options[name]
    const step = strides[dims[name]] as number
    const of = { shape: [count, ...shape.with(dims[name], size)], strides: [size * step, ...strides] }
    return view(options[name].view({ ...of, offset: offset + from * step }))
  }
  const some = (from: number, count: number, size: number, at: number) =>
    matmul(device, {
      ...product,
      a: cut('a', from, count, size),
      b: cut('b', from, count, size),
      output: view(partials.slice(0, at, at + count)),
    })
  try {
    some(0, equal, length, 0)
    if (!even) some(equal * length, 1, depth - equal * length, equal)
    const flat = { x: view(partials.reshape([parts, output.size])), output: view(output.reshape([1, output.size])) }
    sumRows(device, { ...flat, accumulate })
  } finally {
    for (const made of views) made.dispose()
  }
}

const matmulInPartsFields: FieldsOf<MatmulInPartsOptions> = {
  output: true,
  partials: true,
  a: true,
  b: true,
  transposeA: true,
  transposeB: true,
  alpha: true,
  accumulate: true,
  tiles: true,
}

const productSizeFields: FieldsOf<ProductSize> = { kind: true, M: true, N: true, K: true }
