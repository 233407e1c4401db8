import { blobSource } from '../files/byte-source.ts'
import { openSegmentWriter, type SegmentWriter } from './opfs-segment.ts'
import { storeFailure } from './store-failure.ts'
import type { FileRecord, StoreEntry, StoreFolder, StorePart } from './store-folder.ts'

const storeName = 'the Origin Private File System'
/** a folder with this ending is one file: its segments in order, and its record */
const fileEnding = '.file'
const partRecord = 'part.json'
const wholeRecord = 'whole.json'
const least = 2 ** 20
const most = 64 * 2 ** 20

/**
 * Files in the Origin Private File System of a page. One lies there in segments: a page writes a file anew as a whole or not
 * at all, and a segment that is closed stays when the page goes. So at most one is lost, a 64th of the file.
 */
export function opfsFolder(root: FileSystemDirectoryHandle): StoreFolder {
  const free = async () => {
    const { quota, usage } = await navigator.storage.estimate()
    return quota === undefined ? null : Math.max(0, quota - (usage ?? 0))
  }
  const guarded = async <T>(path: string, wanted: number | null, work: () => Promise<T>): Promise<T> => {
    try {
      return await work()
    } catch (cause) {
      throw await storeFailure(storeName, path, cause, wanted, free)
    }
  }
  const folderOf = (path: string, create: boolean) => descend(root, `${path}${fileEnding}`, create)
  const recordIn = async (path: string, name: string) => {
    const folder = await folderOf(path, false)
    return folder && recordOf(await textIn(folder, name))
  }
  return {
    name: storeName,
    kind: 'opfs',
    open: (path) =>
      guarded(path, null, async () => {
        const folder = await folderOf(path, false)
        const record = folder && recordOf(await textIn(folder, wholeRecord))
        if (!folder || !record) return null
        // a Blob of files refers to them, and reads nothing before it is asked
        const blob = new Blob(await segmentsOf(folder, record.set))
        return blob.size === (record.size ?? blob.size) ? blobSource(blob, path) : null
      }),
    record: (path) => guarded(path, null, () => recordIn(path, wholeRecord)),
    part: (path) =>
      guarded(path, null, async () => {
        const folder = (await folderOf(path, true)) as FileSystemDirectoryHandle
        return opfsPart(folder, (wanted, work) => guarded(path, wanted, work))
      }),
    readText: (path) =>
      guarded(path, null, async () => {
        const [folder, name] = await parentOf(root, path, false)
        return folder && textIn(folder, name)
      }),
    writeText: (path, text) =>
      guarded(path, text.length, async () => {
        const [folder, name] = await parentOf(root, path, true)
        await writeIn(folder as FileSystemDirectoryHandle, name, text)
      }),
    entries: () => guarded('its files', null, () => entriesOf(root, '')),
    remove: (path) =>
      guarded(path, null, async () => {
        const [folder, name] = await parentOf(root, path, false)
        for (const entry of [name, `${name}${fileEnding}`])
          await folder?.removeEntry(entry, { recursive: true }).catch(unlessMissing)
      }),
    free,
    lock: async (name, signal, body) => {
      // on pages that have a file system but no locks, two tabs may write the same file; its hash tells
      if (!navigator.locks) return body()
      return navigator.locks.request(`fovea:${name}`, signal ? { signal } : {}, body) as ReturnType<typeof body>
    },
  }
}

/** What is known of a file, and the set of segments that belong to it: an old whole one stays while a new part grows. */
interface SegmentRecord extends FileRecord {
  readonly set: number
}

async function opfsPart(
  folder: FileSystemDirectoryHandle,
  guarded: <T>(wanted: number | null, work: () => Promise<T>) => Promise<T>,
): Promise<StorePart> {
  let record = recordOf(await textIn(folder, partRecord))
  const existing = record ? await segmentsOf(folder, record.set) : []
  let segments = existing.length
  let bytes = existing.reduce((sum, { size }) => sum + size, 0)
  let writer: SegmentWriter | null = null
  const closeSegment = async () => {
    const closing = writer
    writer = null
    await closing?.close()
  }
  return {
    get record() {
      return record
    },
    get bytes() {
      return bytes
    },
    source: () =>
      guarded(null, async () => {
        await closeSegment()
        return blobSource(new Blob(record ? await segmentsOf(folder, record.set) : []), folder.name)
      }),
    start: (next) =>
      guarded(null, async () => {
        await closeSegment()
        const old = record
        const whole = recordOf(await textIn(folder, wholeRecord))
        const set = Math.max(old?.set ?? 0, whole?.set ?? 0) + 1
        record = { ...next, set }
        segments = 0
        bytes = 0
        await writeIn(folder, partRecord, JSON.stringify(record))
        if (old) await removeSet(folder, old.set)
      }),
    write: (data) =>
      guarded(record?.size == null ? null : record.size - bytes, async () => {
        const limit = Math.min(most, Math.max(least, (record?.size ?? 8 * 64 * least) / 64))
        writer ??= await openSegmentWriter(folder, segmentName(record?.set ?? 0, segments++))
        try {
          await writer.write(data)
        } catch (cause) {
          // a stream that failed cannot be closed; its segment was never there
          writer = null
          throw cause
        }
        bytes += data.byteLength
        if (writer.bytes >= limit) await closeSegment()
      }),
    close: () => guarded(null, closeSegment),
    finish: (whole) =>
      guarded(null, async () => {
        await closeSegment()
        const before = recordOf(await textIn(folder, wholeRecord))
        await writeIn(folder, wholeRecord, JSON.stringify({ ...whole, set: record?.set ?? 0 }))
        await folder.removeEntry(partRecord).catch(unlessMissing)
        if (before && before.set !== record?.set) await removeSet(folder, before.set)
        record = null
      }),
  }
}

const segmentName = (set: number, index: number) => `${set}-${String(index).padStart(6, '0')}`

/** The segments of a set in order. */
async function segmentsOf(folder: FileSystemDirectoryHandle, set: number): Promise<File[]> {
  const named: [string, File][] = []
  for await (const [name, handle] of folder.entries())
    if (handle.kind === 'file' && name.startsWith(`${set}-`)) named.push([name, await handle.getFile()])
  return named.sort(([a], [b]) => (a < b ? -1 : 1)).map(([, file]) => file)
}

async function removeSet(folder: FileSystemDirectoryHandle, set: number): Promise<void> {
  const names: string[] = []
  for await (const name of folder.keys()) if (name.startsWith(`${set}-`)) names.push(name)
  for (const name of names) await folder.removeEntry(name).catch(unlessMissing)
}

async function entriesOf(folder: FileSystemDirectoryHandle, path: string): Promise<StoreEntry[]> {
  const found: StoreEntry[] = []
  for await (const [name, handle] of folder.entries()) {
    const inner = `${path}${name}`
    if (handle.kind === 'file') {
      const { size, lastModified } = await handle.getFile()
      found.push({ path: inner, bytes: size, modified: lastModified })
    } else if (!name.endsWith(fileEnding)) found.push(...(await entriesOf(handle, `${inner}/`)))
    else {
      const segments = await entriesOf(handle, '')
      const bytes = segments.filter((entry) => /^\d/.test(entry.path)).reduce((sum, entry) => sum + entry.bytes, 0)
      const modified = Math.max(...segments.map((entry) => entry.modified))
      found.push({ path: inner.slice(0, -fileEnding.length), bytes, modified })
    }
  }
  return found
}

/** The record in a text; null where there is none, or one that was not written to its end. */
function recordOf(text: string | null): SegmentRecord | null {
  try {
    return text === null ? null : (JSON.parse(text) as SegmentRecord)
  } catch {
    return null
  }
}

async function textIn(folder: FileSystemDirectoryHandle, name: string): Promise<string | null> {
  const handle = await folder.getFileHandle(name).catch(unlessMissing)
  return handle ? (await handle.getFile()).text() : null
}

async function writeIn(folder: FileSystemDirectoryHandle, name: string, text: string): Promise<void> {
  const writer = await openSegmentWriter(folder, name)
  await writer.write(new TextEncoder().encode(text))
  await writer.close()
}

async function parentOf(root: FileSystemDirectoryHandle, path: string, create: boolean) {
  const at = path.lastIndexOf('/')
  const folder = at < 0 ? root : await descend(root, path.slice(0, at), create)
  return [folder, path.slice(at + 1)] as const
}

async function descend(root: FileSystemDirectoryHandle, path: string, create: boolean) {
  let folder: FileSystemDirectoryHandle | null = root
  for (const name of path.split('/'))
    folder = (await folder?.getDirectoryHandle(name, { create }).catch(unlessMissing)) ?? null
  return folder
}

function unlessMissing(cause: unknown): null {
  if ((cause as Error).name === 'NotFoundError') return null
  throw cause
}
