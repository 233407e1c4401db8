import type { FieldsOf } from '../../tile/index.ts'

/** Where downloaded models are kept; defaults in parentheses. */
export interface StoreOptions {
  /**
   * 'opfs', the Origin Private File System of a page; 'folder', the cache folder in Node; false keeps nothing beyond this
   * opening ('opfs' in a page that has one, else in memory; 'folder' in Node)
   */
  readonly store?: 'opfs' | 'folder' | false
  /** the folder in Node ("~/.cache/fovea/models") */
  readonly cacheFolder?: string
}

export const storeOptionFields: FieldsOf<StoreOptions> = { store: true, cacheFolder: true }
