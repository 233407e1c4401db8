import { FoveaError } from '../ir/error.ts'
import { contiguousStrides, type TensorSpec } from '../ir/tensor-spec.ts'

/** "f32 [2, 3]", with strides and offset where they are not the plain ones; for messages. */
export function describeTensor(spec: TensorSpec): string {
  const plain = spec.strides.every((stride, dim) => stride === contiguousStrides(spec.shape)[dim])
  const offset = spec.offset === 0 ? '' : ` offset ${spec.offset}`
  return `${spec.dtype} [${spec.shape.join(', ')}]${plain ? '' : ` strides [${spec.strides.join(', ')}]`}${offset}`
}

/** Product of a shape. Throws `argument` unless every size is a whole number ≥ 0. */
export function elementCount(where: string, shape: readonly number[]): number {
  if (!Array.isArray(shape) || !shape.every(isCount))
    throw new FoveaError('argument', where, `a shape is an array of whole numbers ≥ 0, got ${JSON.stringify(shape)}`)
  return shape.reduce((product, size) => product * size, 1)
}

/** Are the elements densely packed in row-major order? */
export function isContiguous({ shape, strides }: TensorSpec): boolean {
  const packed = contiguousStrides(shape)
  return shape.includes(0) || shape.every((size, dim) => size === 1 || strides[dim] === packed[dim])
}

/** Index of the last element that a view reaches, −1 when it has none. */
export function lastIndex({ shape, strides, offset }: TensorSpec): number {
  if (shape.includes(0)) return -1
  return shape.reduce((at, size, dim) => at + (size - 1) * (strides[dim] as number), offset)
}

/** Throws `argument` unless the strides and the offset are whole numbers and every element lies among `capacity`. */
export function checkView(where: string, spec: TensorSpec, capacity: number): void {
  if (spec.strides.length !== spec.shape.length || !spec.strides.every(isCount) || !isCount(spec.offset))
    throw new FoveaError(
      'argument',
      where,
      `one stride ≥ 0 per dimension and an offset ≥ 0 are needed, got ${describeTensor(spec)}`,
    )
  if (lastIndex(spec) >= capacity)
    throw new FoveaError(
      'argument',
      where,
      `${describeTensor(spec)} reaches element ${lastIndex(spec)} of memory that holds ${capacity}`,
    )
}

/**
 * Calls `visit` for each run of elements that lie side by side: its place in row-major order, its place in memory, its
 * length.
 */
export function eachRun(spec: TensorSpec, visit: (at: number, memoryIndex: number, length: number) => void): void {
  const { shape, strides } = spec
  const total = shape.reduce((product, size) => product * size, 1)
  if (total === 0) return
  // the dimensions from `inner` on are packed
  let inner = shape.length
  let length = 1
  while (inner > 0 && (shape[inner - 1] === 1 || strides[inner - 1] === length)) length *= shape[--inner] as number
  const index = new Array<number>(inner).fill(0)
  let memoryIndex = spec.offset
  for (let at = 0; at < total; at += length) {
    visit(at, memoryIndex, length)
    for (let dim = inner - 1; dim >= 0; dim--) {
      const stride = strides[dim] as number
      memoryIndex += stride
      index[dim] = (index[dim] as number) + 1
      if ((index[dim] as number) < (shape[dim] as number)) break
      memoryIndex -= stride * (shape[dim] as number)
      index[dim] = 0
    }
  }
}

function isCount(n: unknown): n is number {
  return Number.isSafeInteger(n) && (n as number) >= 0
}
