/** positions a block holds */
const block = 1024

/**
 * Where each of a number of steps has been entered without success, a bit for each position. Kept in blocks, of which those
 * behind the search are given up.
 */
export class FailureMemo {
  readonly #steps: number
  readonly #blocks = new Map<number, Uint32Array>()
  /** the block that was asked for last */
  #number = -1
  #bits: Uint32Array = new Uint32Array(0)

  constructor(steps: number) {
    this.#steps = steps
  }

  /** Marks a step at a position; false when it was marked before. */
  enter(step: number, at: number): boolean {
    const word = this.#word(step, at)
    const bit = 1 << (at & 31)
    if (((this.#bits[word] ?? 0) & bit) !== 0) return false
    this.#bits[word] = (this.#bits[word] ?? 0) | bit
    return true
  }

  clear(step: number, at: number): void {
    const word = this.#word(step, at)
    this.#bits[word] = (this.#bits[word] ?? 0) & ~(1 << (at & 31))
  }

  /** Nobody asks for positions before this any more. */
  forget(before: number): void {
    if (this.#blocks.size === 0) return
    const first = Math.floor(before / block)
    for (const number of this.#blocks.keys()) if (number < first) this.#blocks.delete(number)
  }

  #word(step: number, at: number): number {
    const number = Math.floor(at / block)
    if (number !== this.#number) {
      this.#number = number
      this.#bits = this.#blocks.get(number) ?? new Uint32Array((this.#steps * block) / 32)
      this.#blocks.set(number, this.#bits)
    }
    return step * (block / 32) + ((at & (block - 1)) >> 5)
  }
}
