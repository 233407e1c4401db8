/**
 * Pages by the time of their last use, oldest first: a binary heap with at most one entry per page. The time is that of
 * the moment when the page was added; the caller, who knows better, adds a page again that comes out too early.
 */
export class EvictionQueue {
  readonly #pages: Int32Array
  readonly #times: Float64Array
  readonly #queued: Uint8Array
  #size = 0

  /** For pages 0 … pages − 1. */
  constructor(pages: number) {
    this.#pages = new Int32Array(pages)
    this.#times = new Float64Array(pages)
    this.#queued = new Uint8Array(pages)
  }

  get size(): number {
    return this.#size
  }

  /** Time of the oldest entry, Infinity when there is none. */
  get oldest(): number {
    return this.#size === 0 ? Number.POSITIVE_INFINITY : (this.#times[0] as number)
  }

  /** Adds a page; one that is in the queue stays where it is. */
  add(page: number, time: number): void {
    if (this.#queued[page] === 1) return
    this.#queued[page] = 1
    let at = this.#size++
    while (at > 0) {
      const parent = (at - 1) >> 1
      if ((this.#times[parent] as number) <= time) break
      this.#move(parent, at)
      at = parent
    }
    this.#place(at, page, time)
  }

  /** Takes the oldest page out, −1 when there is none. */
  take(): number {
    if (this.#size === 0) return -1
    const taken = this.#pages[0] as number
    this.#queued[taken] = 0
    const last = --this.#size
    const [page, time] = [this.#pages[last] as number, this.#times[last] as number]
    let at = 0
    for (;;) {
      let child = 2 * at + 1
      if (child >= last) break
      if (child + 1 < last && (this.#times[child + 1] as number) < (this.#times[child] as number)) child++
      if ((this.#times[child] as number) >= time) break
      this.#move(child, at)
      at = child
    }
    if (last > 0) this.#place(at, page, time)
    return taken
  }

  #move(from: number, to: number): void {
    this.#place(to, this.#pages[from] as number, this.#times[from] as number)
  }

  #place(at: number, page: number, time: number): void {
    this.#pages[at] = page
    this.#times[at] = time
  }
}
