import type { FieldsOf } from '../../tile/index.ts'
import { type StoreOptions, storeOptionFields } from '../store/store-options.ts'

export interface DownloadProgress {
  /** the file under way */
  readonly file: string
  /** bytes of all files together, those found in the store included */
  readonly done: number
  /** Infinity while a server does not say how many there will be */
  readonly total: number
  /** where they are kept; 'memory': nowhere, because `store` is false or nothing can be stored here */
  readonly store: 'opfs' | 'folder' | 'memory'
}

/** How a model is fetched that lies elsewhere; defaults in parentheses. */
export interface SourceOptions extends StoreOptions {
  /** called as bytes come, and at least once a file */
  readonly onProgress?: (progress: DownloadProgress) => void
  /** gives up what is being fetched; what has come stays in the store */
  readonly signal?: AbortSignal
  /** sent as `Authorization: Bearer`, for models that ask for one */
  readonly token?: string
  /** branch, tag or commit of a model of the Hub ("main", or what its name says) */
  readonly revision?: string
  /** another server with the Hub's interface ("https://huggingface.co") */
  readonly hubUrl?: string
  /** SHA-256 that the file of a URL must have, in hexadecimal */
  readonly sha256?: string
}

export const sourceOptionFields: FieldsOf<SourceOptions> = {
  ...storeOptionFields,
  onProgress: true,
  signal: true,
  token: true,
  revision: true,
  hubUrl: true,
  sha256: true,
}
