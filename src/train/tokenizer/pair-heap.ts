/**
 * The pairs of neighbouring tokens, the most frequent first; of equally frequent ones that whose left token is older, then
 * that whose right token is older. A pair may lie in it more than once, with counts of different times: the reader skips
 * what is out of date.
 */
export class PairHeap {
  readonly #counts: number[] = []
  readonly #keys: number[] = []

  get size(): number {
    return this.#keys.length
  }

  /** `key` grows with the age order of (left, right). */
  push(count: number, key: number): void {
    const [counts, keys] = [this.#counts, this.#keys]
    let at = keys.length
    while (at > 0) {
      const parent = (at - 1) >> 1
      if (!this.#isBefore(count, key, parent)) break
      counts[at] = counts[parent] as number
      keys[at] = keys[parent] as number
      at = parent
    }
    counts[at] = count
    keys[at] = key
  }

  pop(): { readonly count: number; readonly key: number } | null {
    const [counts, keys] = [this.#counts, this.#keys]
    const [count, key] = [counts[0], keys[0]]
    const [lastCount, lastKey] = [counts.pop(), keys.pop()]
    if (count === undefined || key === undefined || lastCount === undefined || lastKey === undefined) return null
    const size = keys.length
    if (size === 0) return { count, key }
    let at = 0
    for (;;) {
      let child = 2 * at + 1
      if (child >= size) break
      if (child + 1 < size && this.#isBefore(counts[child + 1] as number, keys[child + 1] as number, child)) child++
      if (this.#isBefore(lastCount, lastKey, child)) break
      counts[at] = counts[child] as number
      keys[at] = keys[child] as number
      at = child
    }
    counts[at] = lastCount
    keys[at] = lastKey
    return { count, key }
  }

  #isBefore(count: number, key: number, other: number): boolean {
    const otherCount = this.#counts[other] as number
    return count > otherCount || (count === otherCount && key < (this.#keys[other] as number))
  }
}
