import { checkFields, FoveaError } from '../../tile/index.ts'
import { modelNameOf } from '../source/model-name.ts'
import { noteName } from './note-name.ts'
import { openStore } from './open-store.ts'
import type { StoreEntry, StoreFolder } from './store-folder.ts'
import { type StoreOptions, storeOptionFields } from './store-options.ts'

/** A model that was downloaded. */
export interface StoredModel {
  /** as `openEngine` takes it: a URL, or hf:owner/name@revision */
  readonly name: string
  /** bytes that it takes, parts included */
  readonly bytes: number
  /** when something of it was last written */
  readonly modified: Date
  readonly files: readonly { readonly path: string; readonly bytes: number }[]
}

/**
 * The models that were downloaded, by name: those in the Origin Private File System of a page, in the cache folder in Node.
 * Throws `unsupported` where nothing can be stored, `io`.
 */
export async function listModels(options: StoreOptions = {}): Promise<readonly StoredModel[]> {
  checkFields('listModels', 'options', options, storeOptionFields)
  return (await modelsIn(await openStore('listModels', options))).map(({ folder: _, ...model }) => model)
}

/**
 * Removes a downloaded model, or what is there of one. Gives the bytes that this freed. Throws `argument` when there is no
 * such model, naming those that there are; `unsupported`, `io`.
 */
export async function removeModel(name: string, options: StoreOptions = {}): Promise<number> {
  checkFields('removeModel', 'options', options, storeOptionFields)
  const store = await openStore('removeModel', options)
  const models = await modelsIn(store)
  const wanted = modelNameOf(name)
  const found = models.find((model) => model.name === wanted)
  if (!found) {
    const others = models.length === 0 ? 'it is empty' : `there are ${models.map((model) => model.name).join(', ')}`
    throw new FoveaError('argument', 'removeModel', `${store.name} has no ${wanted}; ${others}`)
  }
  await store.remove(found.folder)
  return found.bytes
}

async function modelsIn(store: StoreFolder): Promise<(StoredModel & { readonly folder: string })[]> {
  const entries = await store.entries()
  const models: (StoredModel & { readonly folder: string })[] = []
  for (const { path } of entries) {
    if (!path.endsWith(`/${noteName}`)) continue
    const folder = path.slice(0, -noteName.length - 1)
    const own = entries.filter((entry) => entry.path.startsWith(`${folder}/`))
    const name = nameIn(await store.readText(path))
    if (name !== null) models.push({ name, folder, ...summary(folder, own) })
  }
  return models.sort((a, b) => (a.name < b.name ? -1 : 1))
}

function summary(folder: string, own: readonly StoreEntry[]): Omit<StoredModel, 'name'> {
  const files = own
    .map(({ path, bytes }) => ({ path: path.slice(folder.length + 1), bytes }))
    .filter(({ path }) => !/(^|\/)\.[^/]*(json|lock)$/.test(path))
  return {
    bytes: own.reduce((sum, { bytes }) => sum + bytes, 0),
    modified: new Date(Math.max(...own.map(({ modified }) => modified))),
    files,
  }
}

function nameIn(text: string | null): string | null {
  try {
    const { name } = JSON.parse(text ?? '{}') as { name?: unknown }
    return typeof name === 'string' ? name : null
  } catch {
    return null
  }
}
