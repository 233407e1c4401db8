import { FoveaError } from '../../tile/index.ts'
import { blobSource } from '../files/byte-source.ts'
import { openStore } from '../store/open-store.ts'
import type { StoreFolder } from '../store/store-folder.ts'
import { ggufModel, onlyGguf } from './gguf-model.ts'
import { hubModel, type StoredFiles } from './hub-model.ts'
import { hubName, modelNameOf, modelPlace } from './model-name.ts'
import { pathModel } from './path-model.ts'
import type { ResolvedModel } from './resolved-model.ts'
import type { SourceOptions } from './source-options.ts'
import { urlModel } from './url-model.ts'

/** A model by its name, URL or path: downloaded to the store where it is not there. Rejects as `resolveModelSource` says. */
export async function resolvePlace(source: string | URL, options: SourceOptions): Promise<ResolvedModel> {
  const place = modelPlace(source)
  if (place.kind === 'path') {
    if (options.sha256 !== undefined)
      throw new FoveaError('argument', 'openCheckpoint', `sha256 is for the file of a URL; ${place.path} is a path`)
    return pathModel(place.path)
  }
  if (place.kind === 'url') {
    const { url } = place
    if (url.protocol === 'file:') return pathModel(url)
    if (url.protocol === 'blob:' || url.protocol === 'data:')
      return ggufModel(blobSource(await (await fetch(url)).blob(), url.protocol === 'blob:' ? url.href : 'data'))
    const store = await openStore('openCheckpoint', options)
    return storedModel(store, modelNameOf(url), await urlModel(store, url, options))
  }
  const { id, file } = place
  if (place.revision !== null && options.revision !== undefined && place.revision !== options.revision)
    throw new FoveaError(
      'argument',
      'openCheckpoint',
      `${source} names revision ${place.revision}, the option revision ${options.revision}`,
    )
  const revision = place.revision ?? options.revision ?? 'main'
  const { token, hubUrl, signal } = options
  const store = await openStore('openCheckpoint', options)
  const stored = await hubModel(store, { id, revision, token, hubUrl, signal }, file, options.onProgress)
  return storedModel(store, hubName(id, revision), stored)
}

async function storedModel(store: StoreFolder, name: string, { folder, paths }: StoredFiles): Promise<ResolvedModel> {
  const open = async (path: string) => (paths.includes(path) ? store.open(`${folder}/${path}`) : null)
  const only = onlyGguf(paths)
  if (only === null) return { kind: 'folder', name, files: { name, open } }
  const source = await open(only)
  if (!source) throw new FoveaError('io', 'openCheckpoint', `${name}: ${only} was removed from ${store.name} meanwhile`)
  const beside = only.slice(0, only.lastIndexOf('/') + 1)
  return ggufModel({ ...source, name: name.endsWith(only) ? name : `${name}/${only}` }, (part) => open(beside + part))
}
