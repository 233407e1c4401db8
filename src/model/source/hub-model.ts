import { FoveaError } from '../../tile/index.ts'
import { ggufParts, wholeGgufs } from '../files/split-gguf.ts'
import { downloadFile, isContentOf } from '../store/download-file.ts'
import { noteName } from '../store/note-name.ts'
import type { FileRecord, StoreFolder } from '../store/store-folder.ts'
import { type HubAccess, type HubFile, hubFileUrl, hubHeaders, hubListing } from './hub-listing.ts'
import { describedFiles, pickleAdvice, pickledWeights, weightFiles } from './model-file-names.ts'
import { hubName } from './model-name.ts'
import type { DownloadProgress } from './source-options.ts'

/** A model whose files are all in a store. */
export interface StoredFiles {
  /** the model's folder in the store */
  readonly folder: string
  /** paths of its files in that folder */
  readonly paths: readonly string[]
}

/**
 * Brings what is read of a model of the Hub (configuration, tokenizer and safetensors; else its only .gguf file, or the one
 * named `file`) into a store. What is there and still the same is kept, a file that was cut short is gone on with; what
 * was complete once needs no network.
 *
 * Throws `argument` (no such file, several .gguf files and none named), `io`, `format`, `capacity`, `cancelled`.
 */
export async function hubModel(
  store: StoreFolder,
  access: HubAccess,
  file: string | null,
  onProgress: ((progress: DownloadProgress) => void) | undefined,
): Promise<StoredFiles> {
  const { id, revision, signal } = access
  const folder = [id.replace('/', '--'), revision].map((part) => encodeURIComponent(part)).join('/')
  try {
    const files = wantedFiles(id, await knownFiles(store, folder, access), file)
    const total = files.reduce((sum, { size }) => sum + size, 0)
    let before = 0
    for (const { path, size, oid, sha256 } of files) {
      const expected = { version: oid || null, size, sha256 }
      const remote = {
        url: hubFileUrl(access, path),
        headers: hubHeaders(access),
        name: `hf:${id}/${path}`,
        expected,
        isCurrent: async (known: FileRecord) => isContentOf(known, expected),
        gitBlob: sha256 === null && /^[0-9a-f]{40}$/.test(oid) ? oid : null,
      }
      const onBytes = (done: number) => onProgress?.({ file: path, done: before + done, total, store: store.kind })
      await downloadFile(store, `${folder}/${path}`, remote, { signal, onBytes })
      before += size
    }
    return { folder, paths: files.map(({ path }) => path) }
  } catch (cause) {
    if (signal?.aborted) throw new FoveaError('cancelled', 'downloadModel', `${id}: cancelled`, { cause })
    if (!isUnreachable(cause)) throw cause
    const what = 'without a network, give the path of a model folder or of a .gguf file'
    throw new FoveaError('io', 'downloadModel', `${id}: ${(cause as Error).message}; ${what}`, { cause })
  }
}

/** The files of the model: as the Hub lists them, or as it listed them when the model was last downloaded. */
async function knownFiles(store: StoreFolder, folder: string, access: HubAccess): Promise<readonly HubFile[]> {
  const path = `${folder}/${noteName}`
  const name = hubName(access.id, access.revision)
  let files: readonly HubFile[]
  try {
    files = await hubListing(access)
  } catch (cause) {
    if (access.signal?.aborted || !isUnreachable(cause)) throw cause
    // only without a network: what the Hub refuses is refused
    const known = filesIn(await store.readText(path))
    if (!known) throw cause
    return known
  }
  await store.writeText(path, JSON.stringify({ name, files }))
  return files
}

/** `fetch` throws a TypeError when no answer comes, and never else. */
export const isUnreachable = (cause: unknown) => cause instanceof FoveaError && cause.cause instanceof TypeError

/** null for a list that was not written to its end */
function filesIn(text: string | null): readonly HubFile[] | null {
  try {
    const { files } = JSON.parse(text ?? '{}') as { files?: readonly HubFile[] }
    return Array.isArray(files) ? files : null
  } catch {
    return null
  }
}

function wantedFiles(id: string, files: readonly HubFile[], named: string | null): readonly HubFile[] {
  const refuse = (message: string) => new FoveaError('argument', 'downloadModel', `${id} ${message}`)
  const ggufs = files.filter(({ path }) => path.endsWith('.gguf'))
  const models = wholeGgufs(ggufs.map(({ path }) => path))
  const list = models.join(', ')
  // of a split model all parts
  const partsOf = (first: string) => ggufs.filter(({ path }) => ggufParts(first).includes(path))
  if (named !== null) {
    if (ggufs.some(({ path }) => path === named)) return partsOf(named)
    throw refuse(`has no file ${named}; ${list === '' ? 'it has no .gguf files' : `there are ${list}`}`)
  }
  const own = files.filter(({ path }) => describedFiles.includes(path) || weightFiles.test(path))
  if (own.some(({ path }) => path === 'config.json') && own.some(({ path }) => weightFiles.test(path))) return own
  const [only] = models
  if (only !== undefined && models.length === 1) return partsOf(only)
  if (models.length > 1) throw refuse(`has several .gguf files, name one: ${list}`)
  const pickle = files.find(({ path }) => pickledWeights.test(path))
  if (pickle) throw refuse(`has its weights in ${pickle.path}, a Python pickle, which is not read; ${pickleAdvice}`)
  throw refuse('has neither config.json with safetensors nor a .gguf file')
}
