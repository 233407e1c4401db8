export { type PageFormat, type PagePool, pageFormats } from '../attention/paged/page-pool.ts'
export type { CachedSequence } from './cached-sequence.ts'
export { type CopyPagesOptions, copyPages } from './copy-pages.ts'
export { bindingLimit, createKvPages, type KvPages, type KvPagesSpec, kvPageBytes } from './kv-pages.ts'
export { PageAllocator } from './page-allocator.ts'
export type { WindowPolicy } from './page-book.ts'
export {
  type CachedHeads,
  PageCache,
  type PageCacheSpec,
  type PageCacheStats,
  type PinnedPrefix,
  pageCacheBytes,
} from './page-cache.ts'
export { PrefixTree, treeRoot } from './prefix-tree.ts'
export { recentSlots } from './recent-slots.ts'
export {
  type PrefixSink,
  type PrefixSource,
  restorePrefix,
  type SavedPrefixOptions,
  savePrefix,
} from './saved-prefix.ts'
export { type WriteLatentOptions, writeLatent } from './write-latent.ts'
export { type WritePagesOptions, writePages } from './write-pages.ts'
