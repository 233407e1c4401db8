import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { homedir } from 'node:os'
import { dirname, join } from 'node:path'
import { FoveaError } from '../tile/index.ts'
import { downloadFile, fetchWith, type HubAccess, type HubFile } from './hub-file.ts'

export interface DownloadProgress {
  /** the file under way */
  readonly file: string
  /** bytes of all files together, those found in the cache included */
  readonly done: number
  readonly total: number
}

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

/** What is read of a folder, besides its weights. */
const described = new Set([
  'config.json',
  'generation_config.json',
  'tokenizer.json',
  'tokenizer_config.json',
  'chat_template.jinja',
  'chat_template.json',
])
const weights = /^model(-\d+-of-\d+)?\.safetensors(\.index\.json)?$/
const listing = '.files.json'

/**
 * Downloads a model from the Hub into the cache and gives the path to open: a folder, or the .gguf file that was named or
 * is the only one there. Files that are there already are kept, one that was cut short is gone on with; what was complete
 * once opens without a network. Node only.
 *
 * Throws `argument` (no id "owner/name", no such file, several .gguf files and none named), `io` (no network, no such
 * model, a model that asks for a token, disk full), `format` (bytes that do not have the announced hash), `cancelled`.
 */
export async function downloadModel(id: string, options: DownloadOptions = {}): Promise<string> {
  if (!/^[\w.-]+\/[\w.-]+$/.test(id) || /(^|\/)\.\.?($|\/)/.test(id))
    throw new FoveaError('argument', 'downloadModel', `a model of the Hub is written owner/name, got "${id}"`)
  const access: HubAccess = { ...options, id, revision: options.revision ?? 'main' }
  const root = options.cacheFolder ?? join(homedir(), '.cache', 'fovea', 'models')
  const folder = join(root, ...[id.replace('/', '--'), access.revision].map((part) => encodeURIComponent(part)))

  const files = wantedFiles(access, await knownFiles(access, folder), options.file)
  const total = files.reduce((sum, file) => sum + file.size, 0)
  let before = 0
  for (const file of files) {
    const target = join(folder, file.path)
    await mkdir(dirname(target), { recursive: true }).catch((cause) => failed(access, cause))
    await downloadFile(access, file, target, (done) =>
      options.onProgress?.({ file: file.path, done: before + done, total }),
    ).catch((cause) => failed(access, cause))
    before += file.size
  }
  const [first] = files
  return first?.path.endsWith('.gguf') ? join(folder, first.path) : folder
}

/** The files of the model: as the Hub lists them, or as it listed them when the model was last downloaded. */
async function knownFiles(access: HubAccess, folder: string): Promise<readonly HubFile[]> {
  const path = join(folder, listing)
  try {
    const files = await listModel(access)
    await mkdir(folder, { recursive: true })
    await writeFile(path, JSON.stringify(files))
    return files
  } catch (cause) {
    // only without a network: what the Hub refuses is refused
    const known = isUnreachable(cause) ? await readFile(path, 'utf8').catch(() => null) : null
    const files = known === null ? null : parsedListing(known)
    return files ?? failed(access, cause)
  }
}

/** null for a list that was not written to its end */
function parsedListing(text: string): readonly HubFile[] | null {
  try {
    return JSON.parse(text) as readonly HubFile[]
  } catch {
    return null
  }
}

async function listModel({ id, revision, token, hubUrl, signal }: HubAccess): Promise<readonly HubFile[]> {
  const { listFiles } = await import('@huggingface/hub')
  const files: HubFile[] = []
  const query = {
    repo: id,
    revision,
    recursive: true,
    fetch: fetchWith(signal),
    ...(token && { accessToken: token }),
    ...(hubUrl && { hubUrl }),
  }
  for await (const { type, path, size, oid, lfs } of listFiles(query)) {
    // a name that leads out of the folder is of no model
    if (type !== 'file' || path.split('/').includes('..') || path.startsWith('/')) continue
    files.push({ path, size: lfs?.size ?? size, oid: lfs?.oid ?? oid ?? '', sha256: lfs?.oid ?? null })
  }
  return files
}

function wantedFiles({ id }: HubAccess, files: readonly HubFile[], named: string | undefined): readonly HubFile[] {
  const refused = (message: string) => new FoveaError('argument', 'downloadModel', `${id} ${message}`)
  const ggufs = files.filter(({ path }) => path.endsWith('.gguf'))
  const list = ggufs.map(({ path }) => path).join(', ')
  if (named !== undefined) {
    const file = ggufs.find(({ path }) => path === named)
    if (file) return [file]
    throw refused(`has no file ${named}; ${list === '' ? 'it has no .gguf files' : `there are ${list}`}`)
  }
  const own = files.filter(({ path }) => described.has(path) || weights.test(path))
  if (own.some(({ path }) => path === 'config.json') && own.some(({ path }) => weights.test(path))) return own
  if (ggufs.length === 1) return ggufs
  if (ggufs.length > 1) throw refused(`has several .gguf files, name one: ${list}`)
  throw refused('has neither config.json with safetensors nor a .gguf file')
}

/** `fetch` says no more than that it failed; its cause has the code of the system. */
function isUnreachable(cause: unknown): boolean {
  return cause instanceof TypeError && cause.message === 'fetch failed'
}

function failed({ id, signal }: HubAccess, cause: unknown): never {
  if (cause instanceof FoveaError) throw cause
  if (signal?.aborted) throw new FoveaError('cancelled', 'downloadModel', `${id}: cancelled`, { cause })
  const { statusCode, message = String(cause) } = (cause ?? {}) as { statusCode?: number; message?: string }
  const reason = ((cause as Error | undefined)?.cause as Error | undefined)?.message ?? message
  const what = isUnreachable(cause)
    ? `the Hub cannot be reached (${reason}); without a network, give the path of a model folder or of a .gguf file`
    : statusCode === 404
      ? 'there is no such model or revision on the Hub'
      : statusCode === 401 || statusCode === 403
        ? 'the Hub refuses access: no such model, or one that asks for a token'
        : reason
  throw new FoveaError('io', 'downloadModel', `${id}: ${what}`, { cause })
}
