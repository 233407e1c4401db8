import type { Device, Tensor } from '../device/device.ts'
import type { Kernel } from '../tile/index.ts'

/** A kernel and the tensors that it binds. */
export interface Pass {
  readonly kernel: Kernel
  readonly tensors: Readonly<Record<string, Tensor>>
  /** made for this pass: disposed once it is enqueued */
  readonly view?: Tensor
}

/**
 * Enqueues a pass; more items along x than the grid may have run in several parts. `captured`: tensors that it reads in place
 * of those that its hooks captured.
 */
export function runPass(device: Device, pass: Pass, captured?: ReadonlyMap<Tensor, Tensor>): void {
  const { tensors, view } = pass
  const kernel = captured ? { ...pass.kernel, captured } : pass.kernel
  const most = device.info.limits.maxComputeWorkgroupsPerDimension ?? Number.POSITIVE_INFINITY
  const [count, y, z] = kernel.grid
  const { items } = tensors
  const { firstItem } = kernel.scalars
  try {
    if (count <= most || (!items && firstItem === undefined)) device.run(kernel, tensors)
    else
      for (let from = 0; from < count; from += most) {
        const grid = [Math.min(most, count - from), y, z] as const
        // items are rows of a tensor of their own, or counted from a number
        if (firstItem !== undefined)
          device.run({ ...kernel, grid, scalars: { ...kernel.scalars, firstItem: firstItem + from } }, tensors)
        else if (items) {
          const part = items.slice(0, from, from + grid[0])
          device.run({ ...kernel, grid }, { ...tensors, items: part })
          part.dispose()
        }
      }
  } finally {
    view?.dispose()
  }
}
