// long: one class, whose invariants (what is held, what is shared, what may be written) all its methods keep together
import { checkFields, type FieldsOf, FoveaError } from '../tile/index.ts'
import type { PageBook } from './page-book.ts'
import { treeRoot } from './prefix-tree.ts'
import { RowPages } from './row-pages.ts'

/**
 * A sequence of tokens whose keys and values are in a cache; opened by `PageCache.open`. A step reserves room for its
 * tokens, writes them at `slots` and then appends them:
 *
 *   sequence.reserve(n)   sequence.slots(length, length + n) … cache.flush() … kernels …   sequence.append(tokens)
 *
 * What was reserved and not appended may be written again, as speculation does with tokens that are turned down. Every
 * method throws `disposed` after `close`.
 */
export class CachedSequence {
  /** its row of the page table */
  readonly row: number
  readonly #book: PageBook
  readonly #pages: RowPages
  #tokens: Int32Array
  #length = 0
  #cachedTokens = 0
  /** tokens up to here may be written */
  #reserved = 0
  /** tokens up to here may have been written by this row, whether or not they were appended */
  #written = 0
  /** tokens before these were never written by this row, but found or forked */
  #ownFrom = 0
  /** pages from the first one on that are in the tree; Infinity when no more can be */
  #entered = 0
  /** pages behind the sinks up to here were dropped */
  #dropped = 0
  #closed = false

  /** An empty sequence in a row that nobody has. */
  constructor(book: PageBook, row: number, tokens = 0) {
    this.#book = book
    this.row = row
    this.#pages = new RowPages(book, row)
    this.#tokens = new Int32Array(tokens)
  }

  /** Tokens whose keys and values are written. */
  get length(): number {
    return this.#length
  }

  /** Of these, how many were found in the cache instead of being computed by this sequence. */
  get cachedTokens(): number {
    return this.#cachedTokens
  }

  /** Tokens that there is room for: those of `length`, and what is reserved behind them. */
  get reserved(): number {
    return this.#reserved
  }

  get closed(): boolean {
    return this.#closed || this.#book.disposed
  }

  /** The tokens, a copy. */
  get tokens(): Int32Array {
    return this.#tokens.slice(0, this.#length)
  }

  /** Its pages in the order of its tokens, −1 for those that the window left behind, a copy. */
  get pages(): number[] {
    return [...this.#pages.all]
  }

  /**
   * Quantised caches: the first token whose unquantised keys and values this row has when `count` more are written; those
   * before it have been found in the cache, or are no longer among the newest.
   */
  recentFrom(count: number): number {
    const end = Math.max(this.#length + count, this.#written)
    return Math.max(this.#ownFrom, end - this.#book.recentTokens)
  }

  /** Pages that `reserve(count)` would take. */
  pagesFor(count: number): number {
    const more = Math.max(0, Math.ceil((this.#length + count) / this.#book.pageSize) - this.#pages.count)
    return more + (count > 0 && this.#mustCopy(this.#openPage()) ? 1 : 0)
  }

  /**
   * Room for the next `count` tokens: takes pages, evicting cached ones, and makes the page that is written next its own,
   * by a copy when another sequence has it too or the tree has something below it.
   *
   * Throws `capacity` (no pages, or more tokens than a row of the table has pages for), after which nothing has changed;
   * `argument`.
   */
  reserve(count: number): void {
    const where = 'sequence.reserve'
    this.#assertOpen(where)
    if (!Number.isSafeInteger(count) || count < 0)
      throw new FoveaError('argument', where, `count must be a whole number ≥ 0, got ${count}`)
    const { pageSize, maxPages, allocator, tree } = this.#book
    const end = this.#length + count
    if (end > maxPages * pageSize)
      throw new FoveaError(
        'capacity',
        where,
        `${this.#length} tokens and ${count} more; a sequence has at most ${maxPages} pages of ${pageSize} tokens`,
      )
    if (count === 0) return
    const index = this.#openPage()
    const copy = this.#mustCopy(index)
    const taken = this.#book.takePages(where, this.pagesFor(count))
    let at = 0
    if (copy) {
      const own = taken[at++] as number
      this.#book.copyPage(this.#pages.at(index), own)
      this.#pages.replace(index, own)
    } else if (index >= 0 && allocator.isKept(this.#pages.at(index))) tree?.remove(this.#pages.at(index))
    for (; at < taken.length; at++) this.#pages.push(taken[at] as number)
    this.#reserved = Math.max(this.#reserved, end)
  }

  /**
   * Where the tokens from … to − 1 are written: page · pageSize + offset; into `into` from `at` on, if given. Throws
   * `argument` unless they are among those that are reserved and not yet appended.
   */
  slots(from: number, to: number, into: Int32Array = new Int32Array(Math.max(0, to - from)), at = 0): Int32Array {
    const where = 'sequence.slots'
    this.#assertOpen(where)
    const [first, end] = [this.#length, this.#reserved]
    if (!Number.isSafeInteger(from) || !Number.isSafeInteger(to) || from < first || to < from || to > end)
      throw new FoveaError('argument', where, `tokens ${first} to ${end} may be written, got ${from} to ${to}`)
    if (!Number.isSafeInteger(at) || at < 0 || at + to - from > into.length)
      throw new FoveaError('argument', where, `${to - from} slots from ${at} on do not fit into ${into.length}`)
    const { pageSize } = this.#book
    this.#written = Math.max(this.#written, to)
    for (let token = from; token < to; token++)
      into[at + token - from] = this.#pages.at(Math.floor(token / pageSize)) * pageSize + (token % pageSize)
    return into
  }

  /**
   * These tokens, for which there is room, are now written (by kernels that are enqueued). Pages that they fill can be
   * shared from now on; pages that the window leaves behind are dropped. Throws `argument`.
   */
  append(tokens: ArrayLike<number>): void {
    const where = 'sequence.append'
    this.#assertOpen(where)
    const length = this.#length + tokens.length
    if (length > this.#reserved)
      throw new FoveaError(
        'argument',
        where,
        `${tokens.length} tokens after ${this.#length}, with room for ${this.#reserved} in all; reserve first`,
      )
    this.#push(tokens)
    this.#fill()
    this.#drop()
  }

  /**
   * Goes on with pages of the tokens that come next, as far as others have computed them meanwhile, leaving at least one
   * token to compute; gives the number of tokens. What was reserved is given back when there are any.
   */
  adopt(upcoming: ArrayLike<number>): number {
    this.#assertOpen('sequence.adopt')
    const { pageSize, maxPages, allocator, tree } = this.#book
    const first = this.#length / pageSize
    const most = Math.min(maxPages - first, Math.ceil(upcoming.length / pageSize) - 1)
    if (!tree || first !== this.#entered || most <= 0) return 0
    let parent = first === 0 ? treeRoot : this.#pages.at(first - 1)
    if (first > 0 && !allocator.isKept(parent)) return 0
    // most often nothing is there, which the first page tells
    if (tree.child(parent, firstOf(upcoming, pageSize), 0) < 0) return 0
    const next = new Int32Array(upcoming)
    const found = tree.match(next, most, parent)
    this.#pages.shrink(first)
    for (parent of found) {
      allocator.retain(parent)
      this.#pages.push(parent)
    }
    const count = found.length * pageSize
    this.#push(next.subarray(0, count))
    this.#reserved = this.#length
    this.#written = this.#length
    this.#ownFrom = this.#length
    this.#entered += found.length
    this.#cachedTokens += count
    this.#drop()
    return count
  }

  /**
   * Another sequence with the same tokens on the same pages, in a row of its own; whichever writes next copies the last
   * page, if that is partial, and has to reserve again. Throws `capacity` when there is no row.
   */
  fork(): CachedSequence {
    this.#assertOpen('sequence.fork')
    const { pageSize } = this.#book
    const fork = new CachedSequence(this.#book, this.#book.takeRow('sequence.fork'), this.#length)
    this.#pages.shareWith(fork.#pages, Math.ceil(this.#length / pageSize))
    fork.#push(this.#tokens.subarray(0, this.#length))
    fork.#entered = this.#entered
    fork.#dropped = this.#dropped
    fork.#cachedTokens = this.#length
    fork.#reserved = this.#length
    fork.#written = this.#length
    fork.#ownFrom = this.#length
    // the last page is no longer ours alone
    this.#reserved = this.#length
    return fork
  }

  /**
   * Goes back to the first `length` tokens and gives back the pages behind them, reserved ones included. Throws `argument`
   * for a length beyond the present one, or one whose window was left behind.
   */
  truncate(length: number): void {
    const where = 'sequence.truncate'
    this.#assertOpen(where)
    if (!Number.isSafeInteger(length) || length < 0 || length > this.#length)
      throw new FoveaError('argument', where, `there are ${this.#length} tokens, got ${length}`)
    const pages = Math.ceil(length / this.#book.pageSize)
    const needed = Math.max(this.#book.firstNeeded(length), this.#book.sinkPages)
    if (length < this.#length && needed < Math.min(this.#dropped, pages))
      throw new FoveaError(
        'argument',
        where,
        `going back to ${length} tokens needs page ${needed}, and the window left pages before ${this.#dropped} behind`,
      )
    this.#pages.shrink(pages)
    this.#ownFrom = Math.min(length, this.recentFrom(0))
    this.#length = length
    this.#reserved = length
    this.#cachedTokens = Math.min(this.#cachedTokens, length)
    this.#written = length
    this.#dropped = Math.min(this.#dropped, pages)
    if (length === 0) this.#entered = 0
    else if (this.#entered !== Number.POSITIVE_INFINITY)
      this.#entered = Math.min(this.#entered, Math.floor(length / this.#book.pageSize))
  }

  /**
   * Ends the sequence and gives back its row and pages; again is harmless. Its full pages stay in the tree, to be found or
   * evicted, unless `keep` is false: then those that nobody else uses are free.
   */
  close(options: { readonly keep?: boolean } = {}): void {
    checkFields('sequence.close', 'options', options, closeFields)
    if (this.closed) return
    this.#closed = true
    const { allocator, tree } = this.#book
    const entered = this.#pages.all.filter((page) => page >= 0 && allocator.isKept(page))
    tree?.touch(entered)
    this.#pages.shrink(0)
    this.#book.returnRow(this.row)
    if (!tree || options.keep !== false) return
    for (const page of entered.reverse()) {
      if (!tree.isLeaf(page) || allocator.references(page) > 0) break
      tree.remove(page)
    }
  }

  /** Index of the page that holds the last tokens and has room for more, −1 when there is none. */
  #openPage(): number {
    const { pageSize } = this.#book
    return this.#length % pageSize === 0 ? -1 : Math.floor(this.#length / pageSize)
  }

  /** Would writing to the page at this index change what another sequence reads, or what the tree has pages below? */
  #mustCopy(index: number): boolean {
    if (index < 0) return false
    const { allocator, tree } = this.#book
    const page = this.#pages.at(index)
    return allocator.references(page) > 1 || (tree !== null && allocator.isKept(page) && !tree.isLeaf(page))
  }

  /** Enters full pages into the tree. */
  #fill(): void {
    const { pageSize, allocator, tree } = this.#book
    const full = Math.floor(this.#length / pageSize)
    for (; tree && this.#entered < full; this.#entered++) {
      const index = this.#entered
      const parent = index === 0 ? treeRoot : this.#pages.at(index - 1)
      const own = this.#pages.at(index)
      if (own < 0 || (index > 0 && !allocator.isKept(parent))) {
        // the window left the way to here behind
        this.#entered = Number.POSITIVE_INFINITY
        return
      }
      const stands = tree.enter(parent, this.#tokens, index * pageSize, own)
      // another computed the same meanwhile: one of the two is enough
      if (stands === own) continue
      allocator.retain(stands)
      this.#pages.replace(index, stands)
    }
  }

  /** Gives back what lies wholly behind the window. */
  #drop(): void {
    const end = Math.min(this.#book.firstNeeded(this.#length), this.#pages.count)
    for (let index = Math.max(this.#dropped, this.#book.sinkPages); index < end; index++) this.#pages.replace(index, -1)
    this.#dropped = Math.max(this.#dropped, end)
  }

  #push(tokens: ArrayLike<number>): void {
    const length = this.#length + tokens.length
    if (length > this.#tokens.length) {
      const grown = new Int32Array(Math.max(length, 2 * this.#tokens.length))
      grown.set(this.#tokens)
      this.#tokens = grown
    }
    this.#tokens.set(tokens, this.#length)
    this.#length = length
  }

  #assertOpen(where: string): void {
    this.#book.assertAlive(where)
    if (this.#closed) throw new FoveaError('disposed', where, 'the sequence was closed')
  }
}

function firstOf(tokens: ArrayLike<number>, count: number): Int32Array {
  return Int32Array.from({ length: count }, (_, i) => tokens[i] as number)
}

const closeFields: FieldsOf<NonNullable<Parameters<CachedSequence['close']>[0]>> = { keep: true }
