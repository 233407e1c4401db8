/** Which neighbours merge into what, and in which order: pairs of ids to ranks and ids, in flat memory. */
export class MergeTable {
  /** left, right, rank, merged; a left of −1 is a free place */
  readonly #places: Int32Array
  readonly #mask: number

  constructor(size: number) {
    let places = 8
    while (places < size * 2) places *= 2
    this.#places = new Int32Array(places * 4).fill(-1)
    this.#mask = places - 1
  }

  /** A pair that is given again takes the later rank. */
  set(left: number, right: number, rank: number, merged: number): void {
    const at = this.#seek(left, right)
    this.#places[at] = left
    this.#places[at + 1] = right
    this.#places[at + 2] = rank
    this.#places[at + 3] = merged
  }

  /** −1 where the two do not merge */
  rank(left: number, right: number): number {
    return this.#places[this.#seek(left, right) + 2] as number
  }

  merged(left: number, right: number): number {
    return this.#places[this.#seek(left, right) + 3] as number
  }

  #seek(left: number, right: number): number {
    const places = this.#places
    let place = (Math.imul(left, 0x9e3779b1) ^ Math.imul(right, 0x85ebca6b)) >>> 0
    for (place = (place ^ (place >>> 15)) & this.#mask; ; place = (place + 1) & this.#mask) {
      const at = place * 4
      if (places[at] === -1 || (places[at] === left && places[at + 1] === right)) return at
    }
  }
}
