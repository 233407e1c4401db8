import { FoveaError } from '../../tile/index.ts'

/**
 * Bytes of a file, wherever it lies, read by position: nothing but what is asked for is held.
 *
 * `read` gives exactly `length` bytes or throws `io` naming the file; what it gives may share memory with the source and
 * is not written to.
 */
export interface ByteSource {
  readonly name: string
  readonly size: number
  read(offset: number, length: number): Promise<Uint8Array>
  close(): Promise<void>
}

/** One call of the system reads at most 2 GiB; less is as fast. */
const maxRead = 64 * 2 ** 20

/** A file of the disk, Node only. Throws `io` naming the path: missing, a folder, not readable, cut short since opened. */
export async function openFile(path: string): Promise<ByteSource> {
  const { open } = await import('node:fs/promises')
  const handle = await open(path, 'r').catch((cause) => failed('openFile', path, cause))
  const stat = await handle.stat().catch((cause) => handle.close().then(() => failed('openFile', path, cause)))
  if (!stat.isFile()) {
    await handle.close()
    throw new FoveaError('io', 'openFile', `${path} is not a file`)
  }
  const size = stat.size
  return {
    name: path,
    size,
    async read(offset, length) {
      checkRange(path, size, offset, length)
      // memory that is written over at once need not be cleared: allocUnsafeSlow is not from the shared pool
      const bytes = Buffer.allocUnsafeSlow(length)
      for (let done = 0; done < length; ) {
        const wanted = Math.min(length - done, maxRead)
        const { bytesRead } = await handle
          .read(bytes, done, wanted, offset + done)
          .catch((cause) => failed('read', path, cause))
        if (bytesRead === 0) throw cutShort(path, offset, length, done)
        done += bytesRead
      }
      return new Uint8Array(bytes.buffer, bytes.byteOffset, length)
    },
    close: () => handle.close(),
  }
}

/** Bytes that are in memory already. */
export function bytesSource(name: string, data: Uint8Array | ArrayBuffer): ByteSource {
  const bytes = data instanceof Uint8Array ? data : new Uint8Array(data)
  return {
    name,
    size: bytes.byteLength,
    async read(offset, length) {
      checkRange(name, bytes.byteLength, offset, length)
      return bytes.subarray(offset, offset + length)
    },
    close: async () => {},
  }
}

/** A `Blob`, or a `File` that a user of a page has chosen. */
export function blobSource(blob: Blob, name = blob instanceof File ? blob.name : 'blob'): ByteSource {
  return {
    name,
    size: blob.size,
    async read(offset, length) {
      checkRange(name, blob.size, offset, length)
      const buffer = await blob
        .slice(offset, offset + length)
        .arrayBuffer()
        .catch((cause) => failed('read', name, cause))
      return new Uint8Array(buffer)
    },
    close: async () => {},
  }
}

/** What the first request of `urlSource` asks for: most headers are shorter. */
const firstBytes = 2 ** 16

/**
 * A file of a server. Where the server answers range requests (206), each read is one; else the whole body is fetched
 * once and held. Throws `io` naming the URL: not reachable, an error status, a file that changed between two reads.
 */
export async function urlSource(
  url: string | URL,
  options: { readonly fetch?: typeof fetch } = {},
): Promise<ByteSource> {
  const name = String(url)
  const request = options.fetch ?? fetch
  const range = async (from: number, length: number) => {
    const headers = { range: `bytes=${from}-${from + length - 1}` }
    return request(url, { headers }).catch((cause) => failed('urlSource', name, cause))
  }
  const bodyOf = async (response: Response) =>
    new Uint8Array(await response.arrayBuffer().catch((cause) => failed('urlSource', name, cause)))

  const first = await range(0, firstBytes)
  // 416: the file is empty, and no range of it can be had
  if (first.status === 416) return bytesSource(name, new Uint8Array())
  if (!first.ok) throw new FoveaError('io', 'urlSource', `${name}: the server answered ${first.status}`)
  const size = totalSize(first)
  if (first.status !== 206 || size === undefined) {
    const whole = first.status === 206 ? await request(url).catch((cause) => failed('urlSource', name, cause)) : first
    return bytesSource(name, await bodyOf(whole))
  }
  const start = await bodyOf(first)
  const tag = first.headers.get('etag')
  return {
    name,
    size,
    async read(offset, length) {
      checkRange(name, size, offset, length)
      if (length === 0) return new Uint8Array()
      if (offset + length <= start.byteLength) return start.subarray(offset, offset + length)
      const response = await range(offset, length)
      if (response.status !== 206)
        throw new FoveaError('io', 'read', `${name}: the server answered ${response.status} for bytes ${offset} on`)
      if (totalSize(response) !== size || response.headers.get('etag') !== tag)
        throw new FoveaError('io', 'read', `${name} changed on the server while it was read`)
      const bytes = await bodyOf(response)
      if (bytes.byteLength !== length) throw cutShort(name, offset, length, bytes.byteLength)
      return bytes
    },
    close: async () => {},
  }
}

/** `Content-Range: bytes 0-65535/31478456` says how long the file is; "*" says that the server does not know. */
function totalSize(response: Response): number | undefined {
  const total = /\/(\d+)$/.exec(response.headers.get('content-range') ?? '')?.[1]
  return total === undefined ? undefined : Number(total)
}

function checkRange(name: string, size: number, offset: number, length: number): void {
  if (!Number.isSafeInteger(offset) || !Number.isSafeInteger(length) || offset < 0 || length < 0)
    throw new FoveaError('argument', 'read', `${name}: no range of bytes: ${length} at ${offset}`)
  if (offset + length > size)
    throw new FoveaError('io', 'read', `${name} has ${size} bytes: there are no ${length} at ${offset}`)
}

function cutShort(name: string, offset: number, length: number, got: number): FoveaError {
  return new FoveaError('io', 'read', `${name} was cut short: ${got} of ${length} bytes at ${offset}`)
}

function failed(where: string, name: string, cause: unknown): never {
  const reason = cause instanceof Error ? cause.message : String(cause)
  throw new FoveaError('io', where, `${name}: ${reason}`, { cause })
}
