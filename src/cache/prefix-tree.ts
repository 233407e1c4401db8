import { FoveaError } from '../tile/index.ts'
import { EvictionQueue } from './eviction-queue.ts'
import type { PageAllocator } from './page-allocator.ts'

/** What the root's children have for a parent. */
export const treeRoot = -1

/**
 * The prefixes that are in the cache: a radix tree whose edges are the tokens of one whole page. A page is a node, known
 * by its parent and its tokens, so that equal prefixes are one path; all of its data lies in arrays by page number, and a
 * child is found by hash, so that a step down costs a comparison of one page's tokens whatever the number of children.
 *
 * The tree keeps its pages in the allocator. Those that nobody else holds may be evicted, least recently used leaves first.
 */
export class PrefixTree {
  readonly pageSize: number
  readonly #allocator: PageAllocator
  /** tokens of page p from p · pageSize on */
  readonly #tokens: Int32Array
  readonly #parent: Int32Array
  readonly #children: Int32Array
  /** time of the last use, counted in operations */
  readonly #used: Float64Array
  /** chains of pages of equal hash: first of a bucket, next of a page */
  readonly #buckets: Int32Array
  readonly #next: Int32Array
  readonly #leaves: EvictionQueue
  #clock = 0
  #pages = 0

  /** Throws `argument` unless the page size is a whole number ≥ 1. */
  constructor(allocator: PageAllocator, pageSize: number) {
    if (!Number.isInteger(pageSize) || pageSize < 1)
      throw new FoveaError('argument', 'PrefixTree', `pageSize must be a whole number ≥ 1, got ${pageSize}`)
    const { total } = allocator
    this.pageSize = pageSize
    this.#allocator = allocator
    this.#tokens = new Int32Array(total * pageSize)
    this.#parent = new Int32Array(total)
    this.#children = new Int32Array(total)
    this.#used = new Float64Array(total)
    this.#buckets = new Int32Array(2 ** Math.ceil(Math.log2(2 * total))).fill(-1)
    this.#next = new Int32Array(total)
    this.#leaves = new EvictionQueue(total)
  }

  /** Pages in the tree. */
  get pages(): number {
    return this.#pages
  }

  /**
   * Pages of the longest prefix of `tokens` that is below `parent` (a page of the tree, or the root), at most `limit` of
   * them, first page first; counts as a use of them.
   */
  match(tokens: Int32Array, limit = Number.POSITIVE_INFINITY, parent = treeRoot): number[] {
    const most = Math.min(limit, Math.floor(tokens.length / this.pageSize))
    const time = ++this.#clock
    const pages: number[] = []
    for (let above = parent; pages.length < most; ) {
      above = this.child(above, tokens, pages.length * this.pageSize)
      if (above < 0) break
      this.#used[above] = time
      pages.push(above)
    }
    return pages
  }

  /** The child of `parent` (a page of the tree, or `treeRoot`) with the page of tokens at `at`, −1 when there is none. */
  child(parent: number, tokens: Int32Array, at: number): number {
    let page = this.#buckets[this.#bucket(parent, tokens, at)] as number
    while (page >= 0 && !this.#is(page, parent, tokens, at)) page = this.#next[page] as number
    return page
  }

  /**
   * Puts `page`, which somebody holds and which contains the page of tokens at `at`, below `parent`. Gives the page that
   * stands for them: the one given, or the one that was there before, which then should be used in its place.
   *
   * Throws `argument` when `parent` is not in the tree, when `page` is in it elsewhere or held by nobody, and when there
   * are fewer tokens than a page of them.
   */
  enter(parent: number, tokens: Int32Array, at: number, page: number): number {
    const where = 'tree.enter'
    if (parent !== treeRoot && !this.#allocator.isKept(parent))
      throw new FoveaError('argument', where, `the parent ${parent} of page ${page} is not in the tree`)
    if (at + this.pageSize > tokens.length)
      throw new FoveaError(
        'argument',
        where,
        `pages have ${this.pageSize} tokens, got ${tokens.length - at} for page ${page}`,
      )
    const time = ++this.#clock
    const known = this.child(parent, tokens, at)
    if (known >= 0) {
      this.#used[known] = time
      return known
    }
    this.#allocator.keep(page)
    this.#tokens.set(tokens.subarray(at, at + this.pageSize), page * this.pageSize)
    this.#parent[page] = parent
    this.#children[page] = 0
    this.#used[page] = time
    const bucket = this.#bucket(parent, tokens, at)
    this.#next[page] = this.#buckets[bucket] as number
    this.#buckets[bucket] = page
    if (parent !== treeRoot) this.#children[parent] = (this.#children[parent] as number) + 1
    this.#leaves.add(page, time)
    this.#pages++
    return page
  }

  /**
   * Enters a whole prefix, page by page; gives the pages that stand for it. Throws `argument` like `enter`, and unless
   * there is a page for every `pageSize` tokens.
   */
  insert(tokens: Int32Array, pages: readonly number[]): number[] {
    if (pages.length * this.pageSize > tokens.length)
      throw new FoveaError(
        'argument',
        'tree.insert',
        `${pages.length} pages hold ${pages.length * this.pageSize} tokens, got ${tokens.length}`,
      )
    let parent = treeRoot
    return pages.map((page, i) => {
      parent = this.enter(parent, tokens, i * this.pageSize, page)
      return parent
    })
  }

  /** Counts as a use of pages in the tree. */
  touch(pages: Iterable<number>): void {
    const time = ++this.#clock
    for (const page of pages) this.#used[page] = time
  }

  /** Is this page of the tree one without children? */
  isLeaf(page: number): boolean {
    return this.#allocator.isKept(page) && this.#children[page] === 0
  }

  /** Takes a leaf out of the tree, whoever holds its page. Throws `argument` for a page that is no leaf. */
  remove(page: number): void {
    if (!this.isLeaf(page)) throw new FoveaError('argument', 'tree.remove', `page ${page} is no leaf of the tree`)
    const parent = this.#parent[page] as number
    if (parent !== treeRoot) {
      const left = (this.#children[parent] as number) - 1
      this.#children[parent] = left
      // a use of a page is a use of those before it
      this.#used[parent] = Math.max(this.#used[parent] as number, this.#used[page] as number)
      if (left === 0) this.#leaves.add(parent, this.#used[parent] as number)
    }
    this.#drop(page)
  }

  /** Evicts up to `count` pages that nobody holds, least recently used leaves first; gives how many. */
  evict(count: number): number {
    const held: number[] = []
    let evicted = 0
    while (evicted < count) {
      const added = this.#leaves.oldest
      const page = this.#leaves.take()
      if (page < 0) break
      if (!this.isLeaf(page)) continue
      const used = this.#used[page] as number
      // used since it was added: its turn comes later
      if (used > added) this.#leaves.add(page, used)
      else if (this.#allocator.references(page) > 0) held.push(page)
      else {
        this.remove(page)
        evicted++
      }
    }
    for (const page of held) this.#leaves.add(page, this.#used[page] as number)
    return evicted
  }

  /**
   * Evicts pages that nobody holds although pages below them are held, as a window leaves them behind: the least recently
   * used one, with those before it on its path that nobody holds, and with all below, which are shared no longer. Gives the
   * number of pages that became free; 0 when there is no such page. Takes time in proportion to the tree.
   */
  cut(): number {
    let oldest = -1
    for (let page = 0; page < this.#allocator.total; page++)
      if (this.#isCached(page) && (oldest < 0 || (this.#used[page] as number) < (this.#used[oldest] as number)))
        oldest = page
    if (oldest < 0) return 0
    for (let up = this.#parent[oldest] as number; up >= 0; up = this.#parent[up] as number)
      if (this.#isCached(up)) oldest = up
    return this.#removeBelow(oldest)
  }

  /** Takes a page and all below it out of the tree; gives how many pages became free. */
  #removeBelow(top: number): number {
    const [unknown, below, elsewhere] = [0, 1, 2]
    const place = new Uint8Array(this.#allocator.total)
    place[top] = below
    const doomed = [top]
    for (let page = 0; page < this.#allocator.total; page++) {
      if (!this.#allocator.isKept(page)) continue
      const path: number[] = []
      let up = page
      for (; up >= 0 && place[up] === unknown; up = this.#parent[up] as number) path.push(up)
      const found = up >= 0 ? (place[up] as number) : elsewhere
      for (const node of path) place[node] = found
      if (found === below) doomed.push(...path)
    }
    const before = this.#allocator.free
    for (const page of doomed)
      for (let up = page; up >= 0 && place[up] === below && this.isLeaf(up); ) {
        const parent = this.#parent[up] as number
        this.remove(up)
        up = parent
      }
    return this.#allocator.free - before
  }

  #isCached(page: number): boolean {
    return this.#allocator.isKept(page) && this.#allocator.references(page) === 0
  }

  /** Takes a page out of its bucket and hands it back. */
  #drop(page: number): void {
    const bucket = this.#bucket(this.#parent[page] as number, this.#tokens, page * this.pageSize)
    let before = this.#buckets[bucket] as number
    if (before === page) this.#buckets[bucket] = this.#next[page] as number
    else {
      while (this.#next[before] !== page) before = this.#next[before] as number
      this.#next[before] = this.#next[page] as number
    }
    this.#pages--
    this.#allocator.forget(page)
  }

  #is(page: number, parent: number, tokens: Int32Array, at: number): boolean {
    if (this.#parent[page] !== parent) return false
    const from = page * this.pageSize
    for (let i = 0; i < this.pageSize; i++) if (this.#tokens[from + i] !== tokens[at + i]) return false
    return true
  }

  #bucket(parent: number, tokens: Int32Array, at: number): number {
    let hash = Math.imul(parent + 1, 0x9e3779b1)
    for (let i = 0; i < this.pageSize; i++) {
      hash = Math.imul(hash ^ (tokens[at + i] as number), 0x85ebca6b)
      hash ^= hash >>> 15
    }
    return hash & (this.#buckets.length - 1)
  }
}
