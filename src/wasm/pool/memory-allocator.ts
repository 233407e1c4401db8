import { FoveaError } from '../../ir/error.ts'

const pageBytes = 65536
const alignment = 64
/** vectors may read this far past the end of a tensor */
const slackBytes = 16

/** A first-fit allocator over a growing WebAssembly memory. Pointers are multiples of 64. */
export class MemoryAllocator {
  readonly #memory: WebAssembly.Memory
  readonly #maxBytes: number
  readonly #sizes = new Map<number, number>()
  /** free pieces by address, never touching one another */
  #free: { start: number; bytes: number }[] = []
  #end: number

  constructor(memory: WebAssembly.Memory, start: number, maxBytes: number) {
    this.#memory = memory
    this.#maxBytes = maxBytes
    this.#end = roundUp(start)
  }

  /** bytes handed out now */
  get usedBytes(): number {
    let used = 0
    for (const bytes of this.#sizes.values()) used += bytes
    return used
  }

  /** Throws `memory` when the memory may not grow that far, before anything is changed. */
  allocate(bytes: number): number {
    const wanted = roundUp(Math.max(bytes, 1) + slackBytes)
    const index = this.#free.findIndex((piece) => piece.bytes >= wanted)
    const piece = this.#free[index]
    if (piece) {
      const { start } = piece
      piece.start += wanted
      piece.bytes -= wanted
      if (piece.bytes === 0) this.#free.splice(index, 1)
      this.#sizes.set(start, wanted)
      return start
    }
    // a free piece at the end is grown
    const last = this.#free.at(-1)
    const joins = last && last.start + last.bytes === this.#end
    const start = joins ? last.start : this.#end
    this.#reserve(start + wanted, bytes)
    if (joins) this.#free.pop()
    this.#end = start + wanted
    this.#sizes.set(start, wanted)
    return start
  }

  /** Gives a piece back; unknown pointers are ignored. */
  free(pointer: number): void {
    const bytes = this.#sizes.get(pointer)
    if (bytes === undefined) return
    this.#sizes.delete(pointer)
    const at = this.#free.findIndex((piece) => piece.start > pointer)
    const index = at < 0 ? this.#free.length : at
    this.#free.splice(index, 0, { start: pointer, bytes })
    const joined: { start: number; bytes: number }[] = []
    for (const piece of this.#free) {
      const before = joined.at(-1)
      if (before && before.start + before.bytes === piece.start) before.bytes += piece.bytes
      else joined.push(piece)
    }
    this.#free = joined
  }

  #reserve(end: number, bytes: number): void {
    const refuse = (cause?: unknown): never => {
      const message = `${bytes} bytes do not fit: ${this.usedBytes} are in use, at most ${this.#maxBytes} may be`
      throw new FoveaError('memory', 'wasm.allocate', message, cause === undefined ? {} : { cause })
    }
    if (end > this.#maxBytes) refuse()
    const have = this.#memory.buffer.byteLength
    if (end <= have) return
    try {
      this.#memory.grow(Math.ceil((end - have) / pageBytes))
    } catch (cause) {
      refuse(cause)
    }
  }
}

function roundUp(bytes: number): number {
  return Math.ceil(bytes / alignment) * alignment
}
