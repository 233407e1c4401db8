import type { Tensor } from '../device/device.ts'
import type { TensorSpec } from '../tile/index.ts'

/** A view that lies as a specification says; the dtype is the tensor's own, whatever the specification names. */
export function viewAs(tensor: Tensor, { shape, strides, offset }: Omit<TensorSpec, 'dtype'>): Tensor {
  return tensor.view({ shape, strides, offset })
}
