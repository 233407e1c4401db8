import type { GpuFaults } from './gpu-faults.ts'
import { bufferUsage } from './gpu-memory.ts'

/** buffers up to this size are kept for the next read, and so many bytes of them in all */
const keptBytes = 4 * 2 ** 20
const spareLimit = 16 * 2 ** 20
const smallest = 4096

/** Buffers through which the host reads, used again: making one costs as much as a small read. */
export class GpuStaging {
  readonly #device: GPUDevice
  readonly #faults: GpuFaults
  readonly #spare = new Map<number, GPUBuffer[]>()
  #spareBytes = 0

  constructor(device: GPUDevice, faults: GpuFaults) {
    this.#device = device
    this.#faults = faults
  }

  get spareBytes(): number {
    return this.#spareBytes
  }

  /** A buffer of at least `bytes` to copy to and map. */
  take(bytes: number): GPUBuffer {
    const size = bytes > keptBytes ? bytes : Math.max(smallest, 2 ** Math.ceil(Math.log2(bytes)))
    const spare = this.#spare.get(size)?.pop()
    if (spare) {
      this.#spareBytes -= size
      return spare
    }
    return this.#faults.watch(
      ['validation', 'out-of-memory'],
      () => this.#device.createBuffer({ size, usage: bufferUsage.mapRead | bufferUsage.copyTarget }),
      (message, filter) => ({
        code: filter === 'out-of-memory' ? 'memory' : 'device',
        message: `reading ${bytes} bytes failed: ${message}`,
      }),
    )
  }

  /** Takes back a buffer that is not mapped. */
  give(buffer: GPUBuffer): void {
    const { size } = buffer
    if (size > keptBytes || this.#spareBytes + size > spareLimit) {
      buffer.destroy()
      return
    }
    const list = this.#spare.get(size)
    if (list) list.push(buffer)
    else this.#spare.set(size, [buffer])
    this.#spareBytes += size
  }

  destroy(): void {
    for (const list of this.#spare.values()) for (const buffer of list) buffer.destroy()
    this.#spare.clear()
    this.#spareBytes = 0
  }
}
