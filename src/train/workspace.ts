import type { Device, Tensor } from '../device/device.ts'
import { FoveaError, type StorageDType, storageBytes } from '../tile/index.ts'

/** What a workspace took and takes of its device, in bytes. */
export interface WorkspaceBytes {
  /** of tensors that are out now */
  readonly inUse: number
  /** of all tensors that were ever needed at once: what stays allocated */
  readonly held: number
}

interface Block {
  readonly tensor: Tensor // [elements]
  readonly elements: number
}

/**
 * Memory for what lives a part of a step: activations, gradients of activations, scratch. A tensor that is given back is
 * taken again by the next that fits, in the order of the calls, so a step that runs the same way twice uses the same memory
 * for the same things. That holds in `device.record` too, where the memory of disposed tensors would not be used again.
 */
export class Workspace {
  readonly device: Device
  readonly #free: Block[] = []
  readonly #taken = new Map<Tensor, Block>()
  readonly #views = new Set<Tensor>()
  readonly #all: Block[] = []
  #inUse = 0
  #held = 0
  #disposed = false

  constructor(device: Device) {
    this.device = device
  }

  get bytes(): WorkspaceBytes {
    return { inUse: this.#inUse, held: this.#held }
  }

  /**
   * A tensor with undefined contents; f32 unless a dtype is named. The smallest free block of that dtype that holds it is
   * used if it is no more than twice as large. Throws what `device.empty` throws.
   */
  take(shape: readonly number[], dtype: StorageDType = 'f32'): Tensor {
    const size = shape.reduce((product, extent) => product * extent, 1)
    // blocks of 256 elements and multiples, so that lengths which nearly agree share them
    const elements = Math.max(1, Math.ceil(size / 256)) * 256
    const block = this.#freeBlock(elements, dtype) ?? this.#newBlock(elements, dtype)
    const tensor = block.tensor.view({ shape, offset: 0 })
    this.#taken.set(tensor, block)
    this.#inUse += block.elements * storageBytes[dtype]
    return tensor
  }

  /** Gives back a tensor of `take`; kernels enqueued so far may still use it. Throws `argument` for another one. */
  give(tensor: Tensor): void {
    const block = this.#taken.get(tensor)
    if (!block)
      throw new FoveaError(
        'argument',
        'workspace.give',
        `${tensor.dtype} [${tensor.shape.join(', ')}] is not out of this workspace`,
      )
    this.#taken.delete(tensor)
    this.#inUse -= block.elements * storageBytes[tensor.dtype]
    tensor.dispose()
    this.#free.push(block)
  }

  /** A look at a tensor that lives until `releaseViews`: what kernels of a step bind, and nobody wants to keep track of. */
  view(tensor: Tensor, spec: Parameters<Tensor['view']>[0]): Tensor {
    const view = tensor.view(spec)
    this.#views.add(view)
    return view
  }

  /** Columns `from` … `to` − 1 of a matrix [N, C], as [N, to − from]. */
  columns(tensor: Tensor, from: number, to: number): Tensor {
    const [rows = 0] = tensor.shape
    return this.view(tensor, { shape: [rows, to - from], strides: tensor.strides, offset: tensor.offset + from })
  }

  /** Ends the life of all views: kernels enqueued or recorded keep what they need. */
  releaseViews(): void {
    for (const view of this.#views) view.dispose()
    this.#views.clear()
  }

  /** Frees all memory, also of tensors that are out; again is harmless. */
  dispose(): void {
    if (this.#disposed) return
    this.#disposed = true
    this.releaseViews()
    for (const tensor of this.#taken.keys()) tensor.dispose()
    for (const { tensor } of this.#all) tensor.dispose()
    this.#taken.clear()
    this.#free.length = 0
    this.#inUse = 0
    this.#held = 0
  }

  #freeBlock(elements: number, dtype: StorageDType): Block | undefined {
    let best = -1
    for (const [i, block] of this.#free.entries()) {
      if (block.tensor.dtype !== dtype || block.elements < elements || block.elements > 2 * elements) continue
      if (best < 0 || block.elements < (this.#free[best] as Block).elements) best = i
    }
    return best < 0 ? undefined : this.#free.splice(best, 1)[0]
  }

  #newBlock(elements: number, dtype: StorageDType): Block {
    if (this.#disposed) throw new FoveaError('disposed', 'workspace.take', 'the workspace was disposed')
    const block = { tensor: this.device.empty([elements], dtype), elements }
    this.#all.push(block)
    this.#held += elements * storageBytes[dtype]
    return block
  }
}
