import { FoveaError } from '../../tile/index.ts'
import { fnv1a64 } from '../files/fingerprint.ts'
import { ggufParts } from '../files/split-gguf.ts'
import { downloadFile, isContentOf, isPage, recordIn, refused, unreachable } from '../store/download-file.ts'
import { noteName } from '../store/note-name.ts'
import type { FileRecord, StoreFolder } from '../store/store-folder.ts'
import { isUnreachable, type StoredFiles } from './hub-model.ts'
import { describedFiles, pickleAdvice, weightIndex, wholeWeights } from './model-file-names.ts'
import { modelNameOf } from './model-name.ts'
import type { SourceOptions } from './source-options.ts'

/** a file of a model, and what the server says of it */
interface ServedFile {
  readonly path: string
  readonly url: URL
  readonly record: FileRecord
}

/**
 * Brings the model of a URL into a store: a .gguf file, or the files of a folder as Hugging Face lays it out. What is there
 * is kept while the server says that it still has the same, or says nothing; a file with the wanted `sha256` is not asked
 * after. Throws `io`, `format`, `capacity`, `cancelled`.
 */
export async function urlModel(store: StoreFolder, url: URL, options: SourceOptions): Promise<StoredFiles> {
  const name = modelNameOf(url)
  const folder = folderOf(name)
  const { signal } = options
  try {
    if (!isFolder(url)) {
      const paths = ggufParts(fileName(url))
      if (paths.length > 1 && options.sha256 !== undefined)
        throw new FoveaError('argument', 'openCheckpoint', `sha256 is of one file; ${name} is one of ${paths.length}`)
      await store.writeText(`${folder}/${noteName}`, JSON.stringify({ name, files: paths }))
      let before = 0
      for (const path of paths) {
        const own = paths.length === 1 ? url : new URL(encodeURIComponent(path) + url.search, url)
        before += await download(store, folder, { path, url: own, record: nothing }, before, null, options)
      }
      return { folder, paths }
    }
    if (options.sha256 !== undefined)
      throw new FoveaError('argument', 'openCheckpoint', `sha256 is of one file; ${name} names a folder`)
    return { folder, paths: await folderFiles(store, folder, url, name, options) }
  } catch (cause) {
    if (signal?.aborted) throw new FoveaError('cancelled', 'downloadModel', `${name}: cancelled`, { cause })
    throw cause
  }
}

/** Every file of a folder that is there; without a network those that were there before. */
async function folderFiles(store: StoreFolder, folder: string, url: URL, name: string, options: SourceOptions) {
  const note = `${folder}/${noteName}`
  let served: ServedFile[]
  try {
    served = await present(url, [...describedFiles, wholeWeights], options)
  } catch (cause) {
    const known = isUnreachable(cause) ? await knownFiles(store, folder, note) : null
    if (known) return known
    throw cause
  }
  if (!served.some(({ path }) => path === 'config.json'))
    throw new FoveaError(
      'io',
      'downloadModel',
      `${name} has no config.json, and does not end in .gguf: no model is there`,
    )
  await store.writeText(note, JSON.stringify({ name }))
  if (!served.some(({ path }) => path === wholeWeights)) {
    const [index] = await present(url, [weightIndex], options)
    const [pickle] = index ? [] : await present(url, ['pytorch_model.bin'], options)
    if (pickle)
      throw new FoveaError('unsupported', 'downloadModel', `${name}: ${pickle.path} is not read; ${pickleAdvice}`)
    if (!index) throw new FoveaError('io', 'downloadModel', `${name} has neither ${wholeWeights} nor ${weightIndex}`)
    await download(store, folder, index, 0, null, options)
    const shards = await shardsOf(store, `${folder}/${weightIndex}`)
    const found = await present(url, shards, options)
    const missing = shards.find((shard) => !found.some(({ path }) => path === shard))
    if (missing)
      throw new FoveaError('io', 'downloadModel', `${name}: ${weightIndex} names ${missing}, which is missing`)
    served.push(index, ...found)
  }
  const sizes = served.map(({ record }) => record.size)
  const total = sizes.reduce<number | null>((sum, size) => (sum === null || size === null ? null : sum + size), 0)
  let before = 0
  for (const file of served) before += await download(store, folder, file, before, total, options)
  const paths = served.map(({ path }) => path)
  await store.writeText(note, JSON.stringify({ name, files: paths }))
  return paths
}

/** Downloads one file; gives its bytes. `total` of the whole model, or null when it is this file's. */
async function download(
  store: StoreFolder,
  folder: string,
  { path, url, record }: ServedFile,
  before: number,
  total: number | null,
  options: SourceOptions,
): Promise<number> {
  const { signal, token, sha256, onProgress } = options
  const wanted = sha256?.toLowerCase() ?? null
  let bytes = 0
  const headers = headersOf(token)
  await downloadFile(
    store,
    `${folder}/${path}`,
    {
      url: url.href,
      headers,
      name: shown(url),
      expected: { ...nothing, sha256: wanted },
      gitBlob: null,
      async isCurrent(known) {
        if (wanted !== null) return known.sha256 === wanted
        // who asked before does not ask again; a server that is silent or gone has nothing newer
        const seen = record !== nothing ? record : await recordAt(url, options).catch(unlessUnreachable)
        return !seen || isContentOf(known, seen)
      },
    },
    {
      signal,
      onBytes(done, size) {
        bytes = done
        onProgress?.({
          file: path,
          done: before + done,
          total: total ?? size ?? Number.POSITIVE_INFINITY,
          store: store.kind,
        })
      },
    },
  )
  return bytes
}

/** Those of the files that the server has. */
async function present(url: URL, names: readonly string[], options: SourceOptions): Promise<ServedFile[]> {
  const found = await Promise.all(
    names.map(async (path) => {
      const own = new URL(url)
      own.pathname = `${url.pathname.replace(/\/$/, '')}/${path}`
      const record = await recordAt(own, options)
      return record && { path, url: own, record }
    }),
  )
  return found.filter((file) => file !== null)
}

/** What the server says of a file without sending it; null when it has none. */
async function recordAt(url: URL, { signal, token }: SourceOptions): Promise<FileRecord | null> {
  const ask = (method: string, range: string) =>
    fetch(url, { method, headers: { ...headersOf(token), range }, cache: 'no-store', ...(signal && { signal }) }).catch(
      (cause: unknown) => {
        signal?.throwIfAborted()
        throw unreachable(shown(url), cause)
      },
    )
  // the range keeps answers from being compressed, and their lengths from being those of compressed bytes
  let answer = await ask('HEAD', 'bytes=0-')
  // addresses that are signed for GET, and servers that know nothing else
  if ([400, 403, 405, 501].includes(answer.status)) answer = await ask('GET', 'bytes=0-')
  await answer.body?.cancel()
  if (answer.status === 404 || answer.status === 410 || (answer.ok && isPage(answer))) return null
  if (!answer.ok && answer.status !== 416) throw refused(shown(url), answer.status)
  return recordIn(answer, 0)
}

function unlessUnreachable(cause: unknown): null {
  if (cause instanceof FoveaError && cause.code === 'io') return null
  throw cause
}

async function knownFiles(store: StoreFolder, folder: string, note: string): Promise<readonly string[] | null> {
  const { files } = parsed(await store.readText(note)) as { files?: readonly string[] }
  if (!Array.isArray(files)) return null
  for (const path of files as readonly string[]) if (!(await store.record(`${folder}/${path}`))) return null
  return files
}

async function shardsOf(store: StoreFolder, path: string): Promise<readonly string[]> {
  const source = await store.open(path)
  const text = source ? new TextDecoder().decode(await source.read(0, source.size)) : null
  await source?.close()
  const { weight_map: map } = parsed(text) as { weight_map?: Record<string, unknown> }
  // what else is wrong with the list is said where it is read
  const names = Object.values(map ?? {}).filter((name) => typeof name === 'string' && /^[\w.-]+$/.test(name))
  return [...new Set(names as string[])]
}

function parsed(text: string | null): object {
  try {
    return (JSON.parse(text ?? '{}') as object | null) ?? {}
  } catch {
    return {}
  }
}

const nothing: FileRecord = { version: null, size: null, sha256: null }

const isFolder = ({ pathname }: URL) => !pathname.toLowerCase().endsWith('.gguf')

const fileName = ({ pathname }: URL) => decodeURIComponent(pathname.split('/').at(-1) ?? '').replace(/[/\\]/g, '_')

function headersOf(token: string | undefined): Readonly<Record<string, string>> {
  return token ? { authorization: `Bearer ${token}` } : {}
}

/** Without the query, where keys and signatures stand. */
const shown = ({ origin, pathname }: URL) => origin + pathname

/** A folder for people to recognise, and a hash that no other URL has. */
function folderOf(name: string): string {
  const hash = fnv1a64()
  hash.add(new TextEncoder().encode(name))
  const readable = name
    .replace(/^\w+:|\?.*$/g, '')
    .replace(/[^\w.-]+/g, '-')
    .slice(-80)
  return `url/${readable.replace(/^[.-]+/, '')}-${hash.digest()}`
}
