import type { Node, TensorParam } from '../ir/node.ts'
import { contiguousStrides, type TensorSpec } from '../ir/tensor-spec.ts'

/** A tensor argument: where its elements lie, and how to reach the element at an index of the underlying memory. */
export interface TensorBinding {
  readonly spec: TensorSpec
  get(index: number): number
  set(index: number, value: number): void
}

/** Any array of numbers as a tensor argument, densely packed unless strides are given. */
export function bindArray(
  data: { [index: number]: number; readonly length: number },
  spec: Pick<TensorSpec, 'dtype' | 'shape'> & Partial<TensorSpec>,
): TensorBinding {
  return {
    spec: { strides: contiguousStrides(spec.shape), offset: 0, ...spec },
    get: (index) => data[index] as number,
    set: (index, value) => {
      data[index] = value
    },
  }
}

/** A value and its shape, as operands are seen while one is computed. */
export interface Operand {
  readonly node: Node
  readonly values: Float64Array
}

/**
 * Calls `visit` with each position of a [rows, cols] result and the memory index of tensor[indices] there, −1 outside the
 * tensor or where `where` is false.
 */
export function eachElement(
  { rows, cols }: { readonly rows: number; readonly cols: number },
  tensor: TensorParam,
  spec: TensorSpec,
  indices: readonly Operand[],
  where: Operand | null,
  visit: (r: number, c: number, memoryIndex: number) => void,
): void {
  for (let r = 0; r < rows; r++) {
    for (let c = 0; c < cols; c++) {
      let at = spec.offset
      if (where && !elementAt(where, r, c)) at = -1
      for (let dim = 0; dim < tensor.sizes.length && at >= 0; dim++) {
        const index = elementAt(indices[dim] as Operand, r, c)
        const inside = index >= 0 && index < (spec.shape[dim] as number)
        at = inside ? at + index * (spec.strides[dim] as number) : -1
      }
      visit(r, c, at)
    }
  }
}

/** The value at [r, c] of a result that an operand is broadcast to. */
export function elementAt({ node, values }: Operand, r: number, c: number): number {
  return values[(node.rows === 1 ? 0 : r * node.cols) + (node.cols === 1 ? 0 : c)] as number
}
