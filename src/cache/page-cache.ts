import { type PageFormat, pageFormats } from '../attention/paged/page-pool.ts'
import type { Device, Tensor } from '../device/index.ts'
import { checkChoice, checkFields, type FieldsOf, FoveaError } from '../tile/index.ts'
import { CachedSequence } from './cached-sequence.ts'
import { copyPages } from './copy-pages.ts'
import { createKvPages, type KvPages, type KvPagesSpec, kvPageBytes } from './kv-pages.ts'
import { PageBook, type WindowPolicy } from './page-book.ts'
import { PageTable } from './page-table.ts'

/** The heads of a layer: see `KvPagesSpec`. */
export type CachedHeads = Pick<KvPagesSpec, 'numKvHeads' | 'headDim' | 'valueDim' | 'latent'>

export interface PageCacheSpec {
  /** heads of each layer, which may differ */
  readonly layers: readonly CachedHeads[]
  readonly format: PageFormat
  /** of each layer */
  readonly pages: number
  /** most sequences at once: rows of the page table */
  readonly rows: number
  /** tokens of a page, from 1 to 256 (16) */
  readonly pageSize?: number
  /** most pages of a sequence (as many as there are) */
  readonly maxPages?: number
  /** quantised formats: the newest tokens of each sequence that are kept unquantised, too, and how (64, f32) */
  readonly recentTokens?: number
  readonly recentDType?: 'f32' | 'f16' | 'bf16'
  /** keep only a window of each sequence; null: all (null) */
  readonly policy?: WindowPolicy | null
  /** may sequences with the same prefix share its pages, and find it after others have ended? (true) */
  readonly share?: boolean
}

export interface PageCacheStats {
  readonly total: number
  /** held by sequences and pins */
  readonly used: number
  /** held by nobody, found again by their tokens until they are evicted */
  readonly cached: number
  readonly free: number
  /** open now */
  readonly sequences: number
}

/** Pages of a prefix that stay in the cache until `release`. */
export interface PinnedPrefix {
  readonly pages: readonly number[]
  /** tokens on them */
  readonly length: number
  release(): void
}

/**
 * Keys and values of many sequences, in pages that are allocated as sequences grow and shared by those that begin alike.
 * All memory is allocated when it is made. Tied to one model: what lies on a page is known by its tokens alone.
 *
 * Each step: `open`, `reserve`, `slots` for what is to run, `flush`, the kernels, `append`.
 */
export class PageCache {
  readonly device: Device
  /** one for each layer */
  readonly pools: readonly KvPages[]
  readonly pageSize: number
  /** most tokens of a sequence */
  readonly maxTokens: number
  readonly format: PageFormat
  /** of all tensors, as `pageCacheBytes` says beforehand */
  readonly bytes: number
  readonly #table: PageTable
  readonly #book: PageBook
  readonly #rows: number

  /** Throws `argument` for what is no count, and what `createKvPages` throws; then nothing stays allocated. */
  constructor(device: Device, spec: PageCacheSpec) {
    const { pages, pageSize, rows, maxPages, share, policy } = checkSpec(spec)
    this.device = device
    this.pageSize = pageSize
    this.maxTokens = maxPages * pageSize
    this.format = spec.format
    this.bytes = pageCacheBytes(spec)
    this.#rows = rows
    const pools: KvPages[] = []
    try {
      for (const pool of poolSpecs(spec)) pools.push(createKvPages(device, pool))
      this.#table = new PageTable(device, rows, maxPages)
    } catch (error) {
      for (const pool of pools) pool.dispose()
      throw error
    }
    this.pools = pools
    const recentTokens = pools[0]?.recentTokens ?? 0
    const copyPage = (source: number, target: number) => {
      for (const pool of pools) copyPages(device, { pages: pool, source: [source], target: [target] })
    }
    this.#book = new PageBook({ pageSize, pages, recentTokens, policy, share, table: this.#table, copyPage })
  }

  /** i32 [rows, maxPages]: page of the tokens i · pageSize … of the sequence in a row, −1 for none; as of the last `flush`. */
  get pageTable(): Tensor {
    return this.#table.tensor
  }

  get disposed(): boolean {
    return this.#book.disposed
  }

  /** Pages that can be had: free ones, and cached ones for which others are evicted. */
  get available(): number {
    return this.#book.allocator.free + this.#book.allocator.cached
  }

  /** Sequences that can be opened. */
  get freeRows(): number {
    return this.#book.freeRows
  }

  /**
   * A sequence that is to have these tokens: it begins with those whole pages of them that are in the cache, at most all
   * tokens but one, so that there is something to compute; its `length` says how far that goes. Nothing is reserved.
   * Throws `capacity` when each row has a sequence, `disposed`.
   */
  open(tokens: ArrayLike<number>): CachedSequence {
    const where = 'cache.open'
    this.#book.assertAlive(where)
    const sequence = new CachedSequence(this.#book, this.#book.takeRow(where))
    sequence.adopt(tokens)
    return sequence
  }

  /** How many of these tokens `open` would find now, without opening anything. Throws `disposed`. */
  find(tokens: ArrayLike<number>): number {
    this.#book.assertAlive('cache.find')
    const most = Math.ceil(tokens.length / this.pageSize) - 1
    return (this.#book.tree?.match(new Int32Array(tokens), most).length ?? 0) * this.pageSize
  }

  /**
   * Keeps the whole pages of these tokens that are in the cache from being evicted, until they are released. Throws
   * `disposed`.
   */
  pin(tokens: ArrayLike<number>): PinnedPrefix {
    const book = this.#book
    book.assertAlive('cache.pin')
    const pages = book.tree?.match(new Int32Array(tokens)) ?? []
    for (const page of pages) book.allocator.retain(page)
    let held = true
    const release = () => {
      if (held && !book.disposed) for (const page of pages) book.allocator.release(page)
      held = false
    }
    return { pages, length: pages.length * this.pageSize, release }
  }

  /**
   * Puts whole pages of tokens into the cache: `fill` writes the contents of `pages`, which are those of the tokens from
   * index `first` · pageSize on; before are pages that the cache has. Nothing is entered when it rejects. Gives the tokens
   * that are in the cache then.
   *
   * Throws `capacity` when there are not enough pages, `unsupported` for a cache that shares nothing, `disposed`.
   */
  async enter(tokens: Int32Array, fill: (pages: readonly number[], first: number) => Promise<void>): Promise<number> {
    const where = 'cache.enter'
    const { tree, allocator } = this.#book
    this.#book.assertAlive(where)
    if (!tree) throw new FoveaError('unsupported', where, 'this cache shares no prefixes')
    const known = this.pin(tokens)
    let own: number[] = []
    try {
      own = this.#book.takePages(where, Math.floor(tokens.length / this.pageSize) - known.pages.length)
      await fill(own, known.pages.length)
      this.#book.assertAlive(where)
      tree.insert(tokens, [...known.pages, ...own])
    } finally {
      if (!this.#book.disposed) for (const page of own) allocator.release(page)
      known.release()
    }
    return (known.pages.length + own.length) * this.pageSize
  }

  /** Brings the page table on the device up to date, after the kernels enqueued so far; call it before those of a step. */
  flush(): void {
    this.#book.assertAlive('cache.flush')
    this.#table.flush()
  }

  /** Takes everything out that nobody holds. */
  clear(): void {
    this.#book.assertAlive('cache.clear')
    this.#book.tree?.evict(this.#book.allocator.total)
  }

  stats(): PageCacheStats {
    const { total, used, cached, free } = this.#book.allocator
    return { total, used, cached, free, sequences: this.#rows - this.#book.freeRows }
  }

  /** Frees the memory; sequences count as closed. Again is harmless. */
  dispose(): void {
    if (this.#book.disposed) return
    this.#book.disposed = true
    for (const pool of this.pools) pool.dispose()
    this.#table.dispose()
  }
}

/** Bytes that a cache of this spec allocates on its device (which may round each tensor up to 64). Throws `argument`. */
export function pageCacheBytes(spec: PageCacheSpec): number {
  const { rows, maxPages } = checkSpec(spec)
  return poolSpecs(spec).reduce((sum, pool) => sum + kvPageBytes(pool), 4 * rows * maxPages)
}

function poolSpecs(spec: PageCacheSpec): KvPagesSpec[] {
  const { format, pages, rows, recentTokens, recentDType } = spec
  return spec.layers.map((heads) => ({
    ...{ ...heads, format, pages, pageSize: spec.pageSize ?? 16, rows },
    ...(recentTokens !== undefined && { recentTokens }),
    ...(recentDType !== undefined && { recentDType }),
  }))
}

function checkSpec(spec: PageCacheSpec) {
  const where = 'PageCache'
  checkFields(where, 'spec', spec, fields)
  const { pages, pageSize = 16, rows, maxPages = pages, policy = null, share = true, layers } = spec
  checkChoice(where, 'format', spec.format, pageFormats)
  if (spec.recentDType !== undefined) checkChoice(where, 'recentDType', spec.recentDType, ['f32', 'f16', 'bf16'])
  if (policy) checkFields(where, 'policy', policy, policyFields)
  for (const layer of layers) checkFields(where, 'a layer', layer, layerFields)
  const counts = { pages, pageSize, rows, maxPages, layers: layers.length, window: policy?.window ?? 1 }
  for (const [name, count] of Object.entries(counts))
    if (!Number.isSafeInteger(count) || count < 1)
      throw new FoveaError('argument', where, `${name} must be a whole number ≥ 1, got ${count}`)
  const sinks = policy?.sinks ?? 0
  if (!Number.isSafeInteger(sinks) || sinks < 0)
    throw new FoveaError('argument', where, `sinks must be a whole number ≥ 0, got ${sinks}`)
  if (pageSize > 256) throw new FoveaError('argument', where, `pages have at most 256 tokens, got ${pageSize}`)
  return { pages, pageSize, rows, maxPages, policy, share }
}

const policyFields: FieldsOf<WindowPolicy> = { window: true, sinks: true }
const layerFields: FieldsOf<CachedHeads> = { numKvHeads: true, headDim: true, valueDim: true, latent: true }
const fields: FieldsOf<PageCacheSpec> = {
  layers: true,
  format: true,
  pages: true,
  rows: true,
  pageSize: true,
  maxPages: true,
  recentTokens: true,
  recentDType: true,
  policy: true,
  share: true,
}
