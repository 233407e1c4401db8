import type { MemoryAllocator } from './memory-allocator.ts'

/** A piece of scratch for every worker, `stride` bytes apart. */
export interface Scratch {
  readonly pointer: number
  readonly stride: number
}

interface Held extends Scratch {
  /** queued runs that use it */
  users: number
}

/** The workers' scratch, as large as the largest kernel so far needs. One that was outgrown is freed when its last run is done. */
export class ScratchSpace {
  readonly #allocator: MemoryAllocator
  readonly #threads: number
  #current: Held = { pointer: 0, stride: 0, users: 0 }

  constructor(allocator: MemoryAllocator, threads: number) {
    this.#allocator = allocator
    this.#threads = threads
  }

  /** Scratch of at least `bytes` a worker, kept until `release`. Throws `memory`. */
  acquire(bytes: number): Scratch {
    // workers' pieces start on lines of their own, and not on the same sets of their caches
    const stride = Math.ceil(bytes / 4096) * 4096 + 320
    if (this.#current.stride < stride) {
      const outgrown = this.#current
      this.#current = { pointer: 0, stride: 0, users: 0 }
      if (outgrown.users === 0) this.#free(outgrown)
      this.#current = { pointer: this.#allocator.allocate(stride * this.#threads), stride, users: 0 }
    }
    this.#current.users++
    return this.#current
  }

  release(scratch: Scratch): void {
    const held = scratch as Held
    held.users--
    if (held.users === 0 && held !== this.#current) this.#free(held)
  }

  #free({ pointer }: Scratch): void {
    if (pointer !== 0) this.#allocator.free(pointer)
  }
}
