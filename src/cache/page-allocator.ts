import { FoveaError } from '../tile/index.ts'

/**
 * Pages 0 … total − 1, each of them free, used (`references` holders) or cached (kept by the prefix tree, held by nobody).
 * A page is free again when its last holder releases it and the tree does not keep it. Every method takes constant time.
 */
export class PageAllocator {
  readonly total: number
  /** holders other than the tree */
  readonly #references: Int32Array
  /** 1 where the tree keeps the page */
  readonly #kept: Uint8Array
  /** a stack: the first `#free` entries are the free pages */
  readonly #stack: Int32Array
  #free: number
  #cached = 0

  /** Throws `argument` unless `pages` is a whole number from 1 to 2³¹ − 1. */
  constructor(pages: number) {
    if (!Number.isInteger(pages) || pages < 1 || pages > 2 ** 31 - 1)
      throw new FoveaError('argument', 'PageAllocator', `pages must be a whole number from 1 to 2³¹ − 1, got ${pages}`)
    this.total = pages
    this.#references = new Int32Array(pages)
    this.#kept = new Uint8Array(pages)
    // the lowest page on top, so that what is allocated together lies together
    this.#stack = Int32Array.from({ length: pages }, (_, i) => pages - 1 - i)
    this.#free = pages
  }

  /** Pages that nobody holds and nobody keeps. */
  get free(): number {
    return this.#free
  }

  /** Pages that only the tree keeps: free after an eviction. */
  get cached(): number {
    return this.#cached
  }

  /** Pages with at least one holder. */
  get used(): number {
    return this.total - this.#free - this.#cached
  }

  /** A free page, with one reference. Throws `capacity` when there is none. */
  allocate(): number {
    if (this.#free === 0)
      throw new FoveaError(
        'capacity',
        'allocator.allocate',
        `all ${this.total} pages are taken: ${this.used} used, ${this.#cached} cached`,
      )
    const page = this.#stack[--this.#free] as number
    this.#references[page] = 1
    return page
  }

  /** One more holder of a page that is used or cached. Throws `argument` for a free page. */
  retain(page: number): void {
    this.#assertTaken('allocator.retain', page)
    if (this.#references[page] === 0) this.#cached--
    this.#references[page] = this.references(page) + 1
  }

  /** One holder fewer. Throws `argument` for a page that nobody holds. */
  release(page: number): void {
    const references = this.references(page)
    if (references === 0) throw new FoveaError('argument', 'allocator.release', `page ${page} has no holder`)
    this.#references[page] = references - 1
    if (references > 1) return
    if (this.#kept[page] === 1) this.#cached++
    else this.#stack[this.#free++] = page
  }

  /** Holders of a page, the tree not counted. Throws `argument` for no page. */
  references(page: number): number {
    const references = this.#references[page]
    if (references === undefined)
      throw new FoveaError('argument', 'allocator.references', `there are pages 0 … ${this.total - 1}, got ${page}`)
    return references
  }

  /** The tree keeps a page that somebody holds. Throws `argument` when it already does, or nobody holds the page. */
  keep(page: number): void {
    if (this.references(page) === 0 || this.#kept[page] === 1)
      throw new FoveaError('argument', 'allocator.keep', `page ${page} is ${this.#state(page)}`)
    this.#kept[page] = 1
  }

  isKept(page: number): boolean {
    return this.#kept[page] === 1
  }

  /** The tree keeps a page no longer. Throws `argument` for one that it does not keep. */
  forget(page: number): void {
    if (this.#kept[page] !== 1)
      throw new FoveaError('argument', 'allocator.forget', `page ${page} is ${this.#state(page)}`)
    this.#kept[page] = 0
    if (this.#references[page] !== 0) return
    this.#cached--
    this.#stack[this.#free++] = page
  }

  #assertTaken(where: string, page: number): void {
    if (this.references(page) === 0 && this.#kept[page] === 0)
      throw new FoveaError('argument', where, `page ${page} is free`)
  }

  #state(page: number): string {
    const references = this.#references[page]
    if (references === undefined) return `none of 0 … ${this.total - 1}`
    if (references === 0) return this.#kept[page] === 1 ? 'cached' : 'free'
    return `held ${references} times${this.#kept[page] === 1 ? ' and kept' : ''}`
  }
}
