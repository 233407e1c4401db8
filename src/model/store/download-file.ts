import { FoveaError } from '../../tile/index.ts'
import { gitBlobHash } from './git-blob-hash.ts'
import { type StreamingHash, sha256 } from './sha256.ts'
import { noRoom } from './store-failure.ts'
import type { FileRecord, StoreFolder, StorePart } from './store-folder.ts'

/** A file of a server. */
export interface RemoteFile {
  readonly url: string
  readonly headers: Readonly<Record<string, string>>
  /** named in errors and progress */
  readonly name: string
  /** what is known before anything is asked; fields that are null are learnt from the answer */
  readonly expected: FileRecord
  /** Is what is there as a whole still what the server has? */
  isCurrent(known: FileRecord): Promise<boolean>
  /** the id that git gives its content, where that is all there is of a hash */
  readonly gitBlob: string | null
}

export interface DownloadControl {
  readonly signal: AbortSignal | undefined
  /** bytes that are there, those of earlier attempts included; null while nobody knows how many there will be */
  onBytes(done: number, total: number | null): void
}

/** attempts after a connection that broke and had brought something; one that brings nothing ends it at once */
const mostAttempts = 8
const pauseMs = 200
/** of a part that is hashed again */
const readAtOnce = 2 ** 20

/**
 * Downloads a file into `folder`, unless it is there and current. A part of the same content is gone on with (a range of
 * the server's file, if the server gives ranges and says, by size and version, that it is the same), other content and
 * servers without ranges begin again. It is there as a whole when size and hash are right, never before.
 *
 * Versions are compared here rather than by If-Range, which is no safelisted header: a page that sends it to another
 * origin asks for permission first, and most servers of files do not give it.
 *
 * Throws `io` (an error status, a connection that breaks), `format` (another hash; what was downloaded is removed),
 * `capacity` (no room), `cancelled`.
 */
export async function downloadFile(
  folder: StoreFolder,
  path: string,
  file: RemoteFile,
  control: DownloadControl,
): Promise<void> {
  const { signal } = control
  try {
    await folder.lock(`${folder.name}/${path}`, signal, async () => {
      const known = await folder.record(path)
      if (known && (await file.isCurrent(known))) {
        control.onBytes(known.size ?? 0, known.size)
        return
      }
      const part = await folder.part(path)
      try {
        await downloadPart(folder, part, file, control)
      } finally {
        await part.close()
      }
    })
  } catch (cause) {
    if (signal?.aborted) throw new FoveaError('cancelled', 'downloadModel', `${file.name}: cancelled`, { cause })
    throw cause
  }
}

/** Is what is stored what is expected, as far as both are known? An ETag and a date say nothing of each other. */
export function isContentOf(known: FileRecord, expected: FileRecord): boolean {
  if (expected.sha256 !== null && known.sha256 !== null) return known.sha256 === expected.sha256
  if (differ(known.size, expected.size)) return false
  const kind = (version: string | null) => /^(etag|date):/.exec(version ?? '')?.[1]
  return kind(known.version) !== kind(expected.version) || !differ(known.version, expected.version)
}

async function downloadPart(
  folder: StoreFolder,
  part: StorePart,
  file: RemoteFile,
  { signal, onBytes }: DownloadControl,
): Promise<void> {
  const { expected } = file
  if (!part.record || !isPartOf(part.record, expected) || part.bytes > (expected.size ?? part.bytes))
    await part.start(expected)
  let hashes = await hashesOf(file, part, signal)
  for (let attempt = 1; ; ) {
    const before = part.bytes
    const size = part.record?.size ?? null
    if (size !== null && part.bytes === size) break
    if (size !== null) await checkRoom(folder, file.name, size - before)
    onBytes(before, size)
    const answer = await ask(file, before, signal)
    if (before > 0 && !goesOn(answer, part)) {
      await answer.body?.cancel()
      await part.start(expected)
      hashes = await hashesOf(file, part, signal)
      continue
    }
    if (before === 0) {
      const record = { ...recordIn(answer, 0), ...definedIn(expected) }
      await part.start(record)
      if (record.size !== null) await checkRoom(folder, file.name, record.size)
    }
    const total = part.record?.size ?? null
    const broken = await receive(answer, signal, async (bytes) => {
      for (const hash of hashes) hash.add(bytes)
      await part.write(bytes)
      onBytes(part.bytes, total)
    })
    // a server that compresses what it was asked not to says how long the compressed bytes are
    const longer = answer.status === 200 && expected.size === null && total !== null && part.bytes > total
    if (!broken && (total === null || part.bytes === total || longer)) break
    const reason = broken ? reasonOf(broken) : `it ended after ${part.bytes} of ${total} bytes`
    if (part.bytes <= before || ++attempt > mostAttempts)
      throw new FoveaError('io', 'downloadModel', `${file.name}: ${reason}`, { cause: broken })
    await new Promise((resolve) => setTimeout(resolve, pauseMs))
  }
  await finish(part, file, hashes)
}

/** May a part be gone on with? Its content is known by a version or will be by its hash. */
function isPartOf(record: FileRecord, expected: FileRecord): boolean {
  if (expected.version !== null) return record.version === expected.version
  return record.version !== null || expected.sha256 !== null
}

/** Does the answer give the rest of what the part began with? */
function goesOn(answer: Response, { record, bytes }: StorePart): boolean {
  if (answer.status !== 206 || !record) return false
  const from = /^bytes (\d+)-/.exec(answer.headers.get('content-range') ?? '')?.[1]
  if (from !== undefined && Number(from) !== bytes) return false
  return isSame(recordIn(answer, bytes), record)
}

function isSame(seen: FileRecord, record: FileRecord): boolean {
  if (differ(seen.size, record.size)) return false
  // an object id of the Hub is no ETag of the machine that the bytes come from
  return !record.version?.includes(':') || !seen.version || seen.version === record.version
}

/** One request for the rest of a file. With a range it is also one for bytes that nobody compresses. */
async function ask({ url, headers, name }: RemoteFile, from: number, signal: AbortSignal | undefined) {
  const options = { ...(signal && { signal }), cache: 'no-store' as const }
  const get = (extra: Readonly<Record<string, string>>) =>
    fetch(url, { ...options, headers: { ...headers, ...extra } }).catch((cause: unknown) => {
      signal?.throwIfAborted()
      throw unreachable(name, cause)
    })
  const answer = await get({ range: `bytes=${from}-` })
  // there are no bytes from there on: an empty file, or one that became shorter
  if (answer.status === 416) return from > 0 ? answer : get({})
  if (answer.ok && !isPage(answer)) return answer
  await answer.body?.cancel()
  throw refused(name, answer.ok ? 404 : answer.status)
}

/** Some servers answer a page for everything that they do not have. */
export function isPage(answer: Response): boolean {
  return /^text\/html\b/i.test(answer.headers.get('content-type') ?? '')
}

/** What an answer says of the file: a strong ETag, else the date; its size, of which only the length is always readable. */
export function recordIn(answer: Response, from: number): FileRecord {
  const { headers } = answer
  const etag = headers.get('etag')
  const date = headers.get('last-modified')
  const version = etag && !etag.startsWith('W/') ? `etag:${etag}` : date ? `date:${date}` : null
  const stated = /\/(\d+)$/.exec(headers.get('content-range') ?? '')?.[1]
  const length = headers.get('content-encoding') ? null : headers.get('content-length')
  const size = stated !== undefined ? Number(stated) : length === null ? null : from + Number(length)
  return { version, size, sha256: null }
}

/** Reads a body to its end; gives what broke it, if something of the connection did. */
async function receive(
  answer: Response,
  signal: AbortSignal | undefined,
  take: (bytes: Uint8Array) => Promise<void>,
): Promise<unknown> {
  const reader = answer.body?.getReader()
  if (!reader) return null
  for (;;) {
    let next: Awaited<ReturnType<typeof reader.read>>
    try {
      next = await reader.read()
    } catch (cause) {
      signal?.throwIfAborted()
      return cause ?? new Error('the connection broke')
    }
    if (next.done) return null
    try {
      await take(next.value)
      signal?.throwIfAborted()
    } catch (error) {
      await reader.cancel().catch(() => {})
      throw error
    }
  }
}

/** The hashes that the file is held to, over what is there already; SHA-256 always, as its record keeps it. */
async function hashesOf(
  file: RemoteFile,
  part: StorePart,
  signal: AbortSignal | undefined,
): Promise<readonly [StreamingHash, ...StreamingHash[]]> {
  const { gitBlob, expected } = file
  const all: [StreamingHash, ...StreamingHash[]] = [sha256()]
  if (gitBlob !== null && expected.size !== null) all.push(gitBlobHash(expected.size))
  if (part.bytes === 0) return all
  const source = await part.source()
  try {
    for (let at = 0; at < source.size; at += readAtOnce) {
      signal?.throwIfAborted()
      const bytes = await source.read(at, Math.min(readAtOnce, source.size - at))
      for (const hash of all) hash.add(bytes)
    }
  } finally {
    await source.close()
  }
  return all
}

async function finish(part: StorePart, file: RemoteFile, hashes: readonly StreamingHash[]): Promise<void> {
  const { expected, gitBlob, name } = file
  const [sum, blob] = hashes.map((hash) => hash.digest())
  const wrong =
    expected.sha256 !== null && sum !== expected.sha256.toLowerCase()
      ? `SHA-256 ${sum}, ${expected.sha256.toLowerCase()} was expected`
      : blob !== undefined && blob !== gitBlob
        ? `git's id ${blob}, ${gitBlob} was expected`
        : null
  if (wrong !== null) {
    await part.start(expected)
    throw new FoveaError('format', 'downloadModel', `${name} has ${wrong}; what was downloaded is removed`)
  }
  await part.finish({ version: part.record?.version ?? null, size: part.bytes, sha256: sum ?? null })
}

async function checkRoom(folder: StoreFolder, name: string, wanted: number): Promise<void> {
  const free = await folder.free().catch(() => null)
  if (free !== null && wanted > free) throw noRoom(folder.name, name, wanted, free)
}

/** The fields that are known, to be laid over others. */
function definedIn(record: FileRecord): Partial<FileRecord> {
  return Object.fromEntries(Object.entries(record).filter(([, value]) => value !== null))
}

export function refused(name: string, status: number): FoveaError {
  const meaning =
    status === 404 || status === 410
      ? 'there is no such file'
      : status === 401 || status === 403
        ? 'access is refused: no such file, or one that asks for a token'
        : 'the server has none to give'
  return new FoveaError('io', 'downloadModel', `${name}: ${meaning} (status ${status})`)
}

/** `fetch` says no more than that it failed; in Node its cause has the system's reason, in a page nobody is told. */
export function unreachable(name: string, cause: unknown): FoveaError {
  const inner = (cause as { cause?: { message?: string } } | undefined)?.cause?.message
  const reason = inner ?? reasonOf(cause)
  const elsewhere = typeof document === 'undefined' ? '' : ', or it does not let pages of other origins read (CORS)'
  return new FoveaError('io', 'downloadModel', `${name}: the server cannot be reached (${reason})${elsewhere}`, {
    cause,
  })
}

/** Are both known, and not the same? */
const differ = <T>(a: T | null, b: T | null) => a !== null && b !== null && a !== b

const reasonOf = (cause: unknown) => (cause instanceof Error ? cause.message : String(cause))
