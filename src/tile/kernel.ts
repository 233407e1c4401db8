import type { Program } from '../ir/schedule.ts'

/** A tensor as an algorithm sees it: no data, no device. Strides and offset in elements. */
export type { TensorSpec } from '../ir/tensor-spec.ts'

/**
 * What an algorithm returns: a program, the grid to run it on, and the values of its run-time scalars by name. Tensors
 * are bound by the program's parameter names when the kernel is enqueued (captured ones bind themselves).
 */
export interface Kernel {
  readonly program: Program
  readonly grid: readonly [x: number, y: number, z: number]
  readonly scalars: Readonly<Record<string, number>>
  /** tensors that are bound in place of captured ones, each of the dtype and with as many dimensions: one program serves them all */
  readonly captured?: ReadonlyMap<object, object>
}
