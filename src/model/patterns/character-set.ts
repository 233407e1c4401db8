/** A set of characters: what `[…]`, `\p{…}` or a letter of an expression stands for. */
export interface CharacterSet {
  has(code: number): boolean
}

/**
 * The set that a class of an expression with the flag v describes. JavaScript's own engine says which characters are in
 * it, once for each of them; what it said is kept, a page of 256 at a time.
 */
export function characterSet(written: string): CharacterSet {
  const one = new RegExp(`^(?:${written})$`, 'v')
  const pages: (Uint8Array | undefined)[] = []
  return {
    has(code) {
      let page = pages[code >> 8]
      if (!page) {
        page = new Uint8Array(256)
        pages[code >> 8] = page
      }
      const known = page[code & 255] ?? 0
      if (known !== 0) return known === 1
      const isIn = one.test(String.fromCodePoint(code))
      page[code & 255] = isIn ? 1 : 2
      return isIn
    },
  }
}
