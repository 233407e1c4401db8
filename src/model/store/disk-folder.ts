import { mkdir, open, readdir, readFile, rename, rm, stat, statfs } from 'node:fs/promises'
import { homedir } from 'node:os'
import { dirname, join } from 'node:path'
import { FoveaError } from '../../tile/index.ts'
import { openFile } from '../files/open-file.ts'
import { writeAside } from '../files/write-aside.ts'
import { lockFile } from './lock-file.ts'
import { storeFailure } from './store-failure.ts'
import type { FileRecord, StoreEntry, StoreFolder, StorePart } from './store-folder.ts'

/** Whether this platform has a disk: models are kept there. */
export const hasDisk: boolean = true

export const defaultCacheFolder = (): string => join(homedir(), '.cache', 'fovea', 'models')

/**
 * Files in a folder of the disk, Node only: a whole one by its own name, what is known of it in `.NAME.json`, a part in
 * `.NAME.part` until it is whole.
 */
export function diskFolder(root: string): StoreFolder {
  const free = async () => {
    const { bavail, bsize } = await statfs(root)
    return bavail * bsize
  }
  const guarded = async <T>(path: string, wanted: number | null, work: () => Promise<T>): Promise<T> => {
    try {
      return await work()
    } catch (cause) {
      throw await storeFailure(root, path, cause, wanted, free)
    }
  }
  const at = (path: string) => join(root, path)
  const hidden = (path: string, ending: string) => at(path.replace(/[^/]+$/, (name) => `.${name}${ending}`))
  const sizeOf = async (path: string) => (await stat(path).catch(unlessMissing))?.size ?? null
  const textOf = (path: string) => readFile(path, 'utf8').catch(unlessMissing)

  const record = async (path: string): Promise<FileRecord | null> => {
    const size = await sizeOf(at(path))
    if (size === null) return null
    const known = recordOf(await textOf(hidden(path, '.json')))
    // a file that somebody put there is what it is
    return known && known.size === size ? known : { version: null, size, sha256: null }
  }
  const part = async (path: string): Promise<StorePart> => {
    const [partPath, notePath] = [hidden(path, '.part'), hidden(path, '.part.json')]
    await mkdir(dirname(partPath), { recursive: true })
    let known = recordOf(await textOf(notePath))
    let bytes = known ? ((await sizeOf(partPath)) ?? 0) : 0
    let output: Awaited<ReturnType<typeof open>> | null = null
    const close = async (sync: boolean) => {
      const closing = output
      output = null
      if (sync) await closing?.sync()
      await closing?.close()
    }
    return {
      get record() {
        return known
      },
      get bytes() {
        return bytes
      },
      source: () =>
        guarded(path, null, async () => {
          await close(false)
          return openFile(partPath)
        }),
      start: (next) =>
        guarded(path, next.size, async () => {
          await close(false)
          await writeAside(notePath, (sink) => sink.write(new TextEncoder().encode(JSON.stringify(next))))
          output = await open(partPath, 'w')
          known = next
          bytes = 0
        }),
      write: (data) =>
        guarded(path, known?.size == null ? null : known.size - bytes, async () => {
          output ??= await open(partPath, 'a')
          await output.writeFile(data)
          bytes += data.byteLength
        }),
      close: () => guarded(path, null, () => close(false)),
      finish: (whole) =>
        guarded(path, null, async () => {
          output ??= await open(partPath, 'a')
          await close(true)
          await rename(partPath, at(path))
          await writeAside(hidden(path, '.json'), (sink) => sink.write(new TextEncoder().encode(JSON.stringify(whole))))
          await rm(notePath, { force: true })
          known = null
        }),
    }
  }
  return {
    name: root,
    kind: 'folder',
    open: async (path) => ((await record(path)) ? openFile(at(path)) : null),
    record: (path) => guarded(path, null, () => record(path)),
    part: (path) => guarded(path, null, () => part(path)),
    readText: (path) => guarded(path, null, () => textOf(at(path))),
    writeText: (path, text) =>
      guarded(path, text.length, async () => {
        await mkdir(dirname(at(path)), { recursive: true })
        await writeAside(at(path), (sink) => sink.write(new TextEncoder().encode(text)))
      }),
    entries: () => guarded('its files', null, () => entriesOf(root, '')),
    remove: (path) =>
      guarded(path, null, async () => {
        for (const each of [at(path), ...['.json', '.part', '.part.json'].map((ending) => hidden(path, ending))])
          await rm(each, { recursive: true, force: true })
      }),
    free,
    lock: (name, signal, body) => lockFile(hidden(name, '.lock'), signal, body),
  }
}

async function entriesOf(root: string, path: string): Promise<StoreEntry[]> {
  const found: StoreEntry[] = []
  for (const entry of (await readdir(join(root, path), { withFileTypes: true }).catch(unlessMissing)) ?? []) {
    const inner = `${path}${entry.name}`
    if (entry.isDirectory()) found.push(...(await entriesOf(root, `${inner}/`)))
    const seen = entry.isFile() ? await stat(join(root, inner)).catch(unlessMissing) : null
    if (seen) found.push({ path: inner, bytes: seen.size, modified: seen.mtimeMs })
  }
  return found
}

function recordOf(text: string | null): FileRecord | null {
  try {
    return text === null ? null : (JSON.parse(text) as FileRecord)
  } catch {
    return null
  }
}

function unlessMissing(cause: unknown): null {
  const { code } = cause as { code?: string }
  if (code === 'ENOENT') return null
  throw cause instanceof Error ? cause : new FoveaError('io', 'modelStore', String(cause))
}
