import { FoveaError } from '../tile/index.ts'
import { PageAllocator } from './page-allocator.ts'
import type { PageTable } from './page-table.ts'
import { PrefixTree } from './prefix-tree.ts'

/** Which tokens a cache keeps of a long sequence: the last `window` and the first `sinks`, in whole pages. */
export interface WindowPolicy {
  readonly window: number
  /** (0) */
  readonly sinks?: number
}

export interface PageBookSpec {
  readonly pageSize: number
  readonly pages: number
  /** newest tokens of each row that are kept unquantised as well; 0 where nothing is quantised */
  readonly recentTokens: number
  readonly policy: WindowPolicy | null
  readonly share: boolean
  readonly table: PageTable
  /** enqueues a copy of a page's contents, at once */
  readonly copyPage: (source: number, target: number) => void
}

/**
 * What the sequences of one cache share: rows, pages, the tree of prefixes, the table. It keeps the books; what
 * lies on pages it copies through `copyPage`.
 */
export class PageBook {
  readonly pageSize: number
  /** pages that a sequence may have */
  readonly maxPages: number
  readonly policy: WindowPolicy | null
  readonly allocator: PageAllocator
  readonly recentTokens: number
  /** null where nothing is shared */
  readonly tree: PrefixTree | null
  readonly table: PageTable
  readonly copyPage: (source: number, target: number) => void
  disposed = false
  /** a stack of the rows that no sequence has, the lowest on top */
  readonly #rows: number[]

  constructor(spec: PageBookSpec) {
    const { table } = spec
    this.pageSize = spec.pageSize
    this.maxPages = table.maxPages
    this.policy = spec.policy
    this.allocator = new PageAllocator(spec.pages)
    this.recentTokens = spec.recentTokens
    this.tree = spec.share ? new PrefixTree(this.allocator, spec.pageSize) : null
    this.table = table
    this.copyPage = spec.copyPage
    this.#rows = Array.from({ length: table.rows }, (_, i) => table.rows - 1 - i)
  }

  get freeRows(): number {
    return this.#rows.length
  }

  /** A row of the table. Throws `capacity` when each has a sequence. */
  takeRow(where: string): number {
    const row = this.#rows.pop()
    if (row === undefined)
      throw new FoveaError('capacity', where, `all ${this.table.rows} rows of the page table have a sequence`)
    return row
  }

  returnRow(row: number): void {
    this.#rows.push(row)
  }

  /**
   * Pages with one reference each, lowest numbers first; evicts cached pages as needed. Throws `capacity` when even that
   * would not do, and has then changed nothing.
   */
  takePages(where: string, count: number): number[] {
    const { allocator, tree } = this
    const { total, used, free, cached } = allocator
    if (count > free + cached)
      throw new FoveaError(
        'capacity',
        where,
        `needs ${count} more pages of ${this.pageSize} tokens; of ${total} pages ${used} are used, ${cached} cached and ${free} free`,
      )
    if (tree && count > free) {
      tree.evict(count - free)
      // pages that a window left behind in the middle of a path that is in use
      while (allocator.free < count && tree.cut() > 0) {}
    }
    return Array.from({ length: count }, () => allocator.allocate()).sort((a, b) => a - b)
  }

  /** Index of the first page behind the sinks that a sequence of this length needs. */
  firstNeeded(length: number): number {
    if (!this.policy) return 0
    return Math.max(0, Math.floor((length - this.policy.window + 1) / this.pageSize))
  }

  /** Pages that stay whatever the window: those of the sinks. */
  get sinkPages(): number {
    return this.policy ? Math.ceil((this.policy.sinks ?? 0) / this.pageSize) : Number.POSITIVE_INFINITY
  }

  assertAlive(where: string): void {
    if (this.disposed) throw new FoveaError('disposed', where, 'the page cache was disposed')
  }
}
