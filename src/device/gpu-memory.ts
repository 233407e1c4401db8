import { FoveaError } from '../ir/error.ts'
import type { MemoryBlock } from './backend.ts'
import type { GpuFaults } from './gpu-faults.ts'

/** A buffer of a GPU device; `adopted` ones belong to the caller. */
export interface GpuBlock extends MemoryBlock {
  readonly buffer: GPUBuffer
  readonly adopted: boolean
}

// the numbers of GPUBufferUsage, which Node has no global for
export const bufferUsage = {
  mapRead: 1,
  copySource: 4,
  copyTarget: 8,
  uniform: 64,
  storage: 128,
  queryResolve: 512,
} as const

/** spare buffers are kept up to this many bytes */
const spareLimit = 256 * 2 ** 20

/**
 * Storage buffers, reused by exact size class: powers of two up to 64 KiB, multiples of 4 KiB above. Sizes are
 * multiples of 16, so that kernels may see them as vectors.
 */
export class GpuMemory {
  readonly #device: GPUDevice
  readonly #faults: GpuFaults
  readonly #spare = new Map<number, GPUBuffer[]>()
  /** every buffer made and not destroyed, spare ones included */
  readonly #live = new Set<GPUBuffer>()
  #spareBytes = 0

  constructor(device: GPUDevice, faults: GpuFaults) {
    this.#device = device
    this.#faults = faults
  }

  get spareBytes(): number {
    return this.#spareBytes
  }

  /** A block of at least `bytes`; `fresh` ones hold zeros. Throws `limit`. */
  allocate(where: string, bytes: number): { block: GpuBlock; fresh: boolean } {
    // what only the rounding brings over the limit still fits
    const size = Math.min(sizeClass(bytes), this.checkSize(where, bytes))
    const spare = this.#spare.get(size)?.pop()
    if (spare) {
      this.#spareBytes -= size
      return { block: { buffer: spare, byteLength: size, adopted: false }, fresh: false }
    }
    const usage = bufferUsage.storage | bufferUsage.copySource | bufferUsage.copyTarget
    const buffer = this.#faults.watch(
      ['validation', 'out-of-memory'],
      () => this.#device.createBuffer({ size, usage }),
      (message, filter) => {
        if (filter !== 'out-of-memory')
          return { code: 'device', message: `a buffer of ${bytes} bytes was refused: ${message}` }
        this.#destroySpare()
        return { code: 'memory', message: `out of GPU memory at a tensor of ${bytes} bytes: ${message}` }
      },
    )
    this.#live.add(buffer)
    return { block: { buffer, byteLength: size, adopted: false }, fresh: true }
  }

  /** The size of the largest block. Throws `limit` where that is not enough. */
  checkSize(where: string, bytes: number): number {
    const { maxBufferSize, maxStorageBufferBindingSize } = this.#device.limits
    const limit = Math.min(maxBufferSize, maxStorageBufferBindingSize)
    const most = limit - (limit % 16)
    if (bytes <= most) return most
    throw new FoveaError(
      'limit',
      where,
      `${bytes} bytes in one tensor; this device takes ${limit} (maxBufferSize ${maxBufferSize}, maxStorageBufferBindingSize ${maxStorageBufferBindingSize})`,
    )
  }

  /** Takes a block back; no recorded command that is not yet submitted may use it. */
  release({ buffer, byteLength, adopted }: GpuBlock): void {
    if (adopted) return
    if (this.#spareBytes + byteLength > spareLimit) {
      buffer.destroy()
      this.#live.delete(buffer)
      return
    }
    const list = this.#spare.get(byteLength)
    if (list) list.push(buffer)
    else this.#spare.set(byteLength, [buffer])
    this.#spareBytes += byteLength
  }

  /** Destroys every buffer, those of tensors included. */
  destroy(): void {
    this.#destroySpare()
    for (const buffer of this.#live) buffer.destroy()
    this.#live.clear()
  }

  #destroySpare(): void {
    for (const list of this.#spare.values()) {
      for (const buffer of list) {
        buffer.destroy()
        this.#live.delete(buffer)
      }
    }
    this.#spare.clear()
    this.#spareBytes = 0
  }
}

function sizeClass(bytes: number): number {
  if (bytes > 65536) return Math.ceil(bytes / 4096) * 4096
  return Math.max(256, 2 ** Math.ceil(Math.log2(bytes)))
}
