import type { StorageDType } from './dtype.ts'

/** A tensor without its data: dtype, sizes, and strides and offset in elements. */
export interface TensorSpec {
  readonly dtype: StorageDType
  readonly shape: readonly number[]
  readonly strides: readonly number[]
  readonly offset: number
}

/** Strides of a densely packed tensor, last dimension fastest. */
export function contiguousStrides(shape: readonly number[]): number[] {
  const strides = new Array<number>(shape.length)
  for (let dim = shape.length - 1, step = 1; dim >= 0; dim--) {
    strides[dim] = step
    step *= shape[dim] as number
  }
  return strides
}

/** The largest power of two, up to 8, that divides the offset and every stride but the last (dimensions of size 1 aside). */
export function alignmentOf(spec: TensorSpec): number {
  let alignment = 8
  const last = spec.shape.length - 1
  const steps = spec.strides.filter((_, dim) => dim < last && (spec.shape[dim] as number) > 1)
  for (const step of [spec.offset, ...steps]) while (step % alignment !== 0) alignment /= 2
  return alignment
}
