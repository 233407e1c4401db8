import { checkFields, type FieldsOf, FoveaError } from '../../tile/index.ts'
import { checkRange, cutShort, readFailed } from './read-range.ts'

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
        .catch((cause) => readFailed('read', name, cause))
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
  checkFields('urlSource', 'options', options, fields)
  const name = String(url)
  const request = options.fetch ?? fetch
  const range = async (from: number, length: number) => {
    const headers = { range: `bytes=${from}-${from + length - 1}` }
    return request(url, { headers }).catch((cause) => readFailed('urlSource', name, cause))
  }
  const bodyOf = async (response: Response) =>
    new Uint8Array(await response.arrayBuffer().catch((cause) => readFailed('urlSource', name, cause)))

  const first = await range(0, firstBytes)
  // 416: the file is empty, and no range of it can be had
  if (first.status === 416) return bytesSource(name, new Uint8Array())
  if (!first.ok) throw new FoveaError('io', 'urlSource', `${name}: the server answered ${first.status}`)
  const size = totalSize(first)
  if (first.status !== 206 || size === undefined) {
    const whole =
      first.status === 206 ? await request(url).catch((cause) => readFailed('urlSource', name, cause)) : first
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

const fields: FieldsOf<NonNullable<Parameters<typeof urlSource>[1]>> = { fetch: true }
