import { join } from 'node:path'
import { checkFields, type FieldsOf, FoveaError } from '../tile/index.ts'
import { hubModel } from './source/hub-model.ts'
import { isHubId } from './source/model-name.ts'
import type { DownloadProgress } from './source/source-options.ts'
import { openStore } from './store/open-store.ts'

export interface DownloadOptions {
  /** where models are kept ("~/.cache/fovea/models") */
  readonly cacheFolder?: string
  /** branch, tag or commit ("main") */
  readonly revision?: string
  /** one .gguf file by its name, instead of configuration, tokenizer and safetensors */
  readonly file?: string
  /** for models that ask for one */
  readonly token?: string
  /** another server of the same interface */
  readonly hubUrl?: string
  readonly signal?: AbortSignal
  readonly onProgress?: (progress: DownloadProgress) => void
}

const fields: FieldsOf<DownloadOptions> = {
  cacheFolder: true,
  revision: true,
  file: true,
  token: true,
  hubUrl: true,
  signal: true,
  onProgress: true,
}

/**
 * Downloads a model from the Hub into the cache and gives the path to open: a folder, or the .gguf file that was named or
 * is the only one there. Files that are there already are kept, one that was cut short is gone on with; what was complete
 * once opens without a network. Node only; `openEngine('hf:owner/name')` does the same and opens it, in pages too.
 *
 * Throws `argument` (no id "owner/name", no such file, several .gguf files and none named), `io` (no network, no such
 * model, a model that asks for a token), `format` (bytes that do not have the announced hash), `capacity` (disk full),
 * `cancelled`.
 */
export async function downloadModel(id: string, options: DownloadOptions = {}): Promise<string> {
  const where = 'downloadModel'
  checkFields(where, 'options', options, fields)
  if (!isHubId(id)) throw new FoveaError('argument', where, `a model of the Hub is written owner/name, got "${id}"`)
  const { revision = 'main', token, hubUrl, signal, file, cacheFolder, onProgress } = options
  const store = await openStore(where, { store: 'folder', ...(cacheFolder !== undefined && { cacheFolder }) })
  const { folder, paths } = await hubModel(store, { id, revision, token, hubUrl, signal }, file ?? null, onProgress)
  const [first] = paths
  return first?.endsWith('.gguf') ? join(store.name, folder, first) : join(store.name, folder)
}
