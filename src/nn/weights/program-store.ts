/**
 * What was made for combinations of plain values and objects (functions included, by identity), kept for the next call. As
 * many entries as there are combinations: a handful for a weight.
 */
export class ProgramStore<Made> {
  readonly #numbers = new WeakMap<object, number>()
  readonly #made = new Map<string, Made>()
  #count = 0

  get(key: readonly (string | number | boolean | null | object)[], make: () => Made): Made {
    const text = key
      .map((part) =>
        (part !== null && typeof part === 'object') || typeof part === 'function'
          ? `#${this.#numberOf(part as object)}`
          : String(part),
      )
      .join(' ')
    const known = this.#made.get(text)
    if (known !== undefined) return known
    const made = make()
    this.#made.set(text, made)
    return made
  }

  #numberOf(object: object): number {
    const known = this.#numbers.get(object)
    if (known !== undefined) return known
    this.#numbers.set(object, this.#count)
    return this.#count++
  }
}
