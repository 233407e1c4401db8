import { FoveaError } from '../tile/index.ts'
import { checksum, checksumBytes } from './checksum.ts'
import type { PageCache } from './page-cache.ts'
import { type PagePlane, pagePlanes } from './page-planes.ts'

/** "fovea kv" */
const magic = Uint8Array.of(0x66, 0x6f, 0x76, 0x65, 0x61, 0x20, 0x6b, 0x76)
const version = 1
/** magic, version, bytes of the description */
export const preambleBytes = 16
const maxDescription = 2 ** 20
/** bytes of a chunk, unless a single page has more */
const chunkBytes = 4 * 2 ** 20

/** All that a saved prefix must have in common with the cache that it is restored into; and how many tokens it has. */
interface Description {
  readonly model: string
  readonly format: string
  readonly pageSize: number
  readonly layers: readonly string[]
  readonly tokens: number
}

/** Some pages in one kind of tensor of one layer: a checksummed piece of the file. */
export interface PrefixChunk {
  readonly plane: PagePlane
  /** pages of the prefix, from … to − 1 */
  readonly from: number
  readonly to: number
  readonly bytes: number
  /** tells its checksum from others */
  readonly seed: number
}

/**
 * The layout of a saved prefix (all numbers little-endian): magic, u32 version, u32 bytes of the description; the description
 * as JSON; the tokens as i32; then the chunks, those of each plane in the order of the pages. The description with what is
 * before it, the tokens and each chunk are followed by their checksums.
 */
export interface PrefixLayout {
  readonly header: Uint8Array<ArrayBuffer>
  readonly chunks: readonly PrefixChunk[]
  /** of the whole */
  readonly bytes: number
}

/** checksums: 0 of the header, 1 of the tokens */
export const tokensSeed = 1

/** How a prefix of so many tokens, in whole pages, of this cache lies in a file. */
export function prefixLayout(cache: PageCache, model: string, tokens: number): PrefixLayout {
  const text = new TextEncoder().encode(JSON.stringify(describe(cache, model, tokens)))
  // the checksum reads words
  const header = new Uint8Array(preambleBytes + Math.ceil(text.byteLength / 4) * 4).fill(0x20)
  header.set(magic)
  new DataView(header.buffer).setUint32(8, version, true)
  new DataView(header.buffer).setUint32(12, header.byteLength - preambleBytes, true)
  header.set(text, preambleBytes)
  const pages = tokens / cache.pageSize
  const chunks: PrefixChunk[] = []
  for (const plane of pagePlanes(cache.pools)) {
    const most = Math.max(1, Math.floor(chunkBytes / plane.bytesPerPage))
    for (let from = 0; from < pages; from += most) {
      const to = Math.min(pages, from + most)
      const bytes = (to - from) * plane.bytesPerPage
      chunks.push({ plane, from, to, bytes, seed: tokensSeed + 1 + chunks.length })
    }
  }
  const payload = chunks.reduce((sum, chunk) => sum + chunk.bytes + checksumBytes, 0)
  return { header, chunks, bytes: header.byteLength + checksumBytes + 4 * tokens + checksumBytes + payload }
}

/** Bytes of the description, from the preamble. Throws `format` naming the file: no saved prefix, or of another version. */
export function readPreamble(where: string, name: string, bytes: Uint8Array): number {
  if (!magic.every((byte, i) => bytes[i] === byte))
    throw new FoveaError('format', where, `${name} is no saved prefix: it begins with ${[...bytes.subarray(0, 8)]}`)
  const view = new DataView(bytes.buffer, bytes.byteOffset)
  if (view.getUint32(8, true) !== version)
    throw new FoveaError('format', where, `${name}: version is ${view.getUint32(8, true)}, this reads ${version}`)
  const length = view.getUint32(12, true)
  if (length % 4 !== 0 || length > maxDescription)
    throw new FoveaError('format', where, `${name}: the description has ${length} bytes, at most ${maxDescription}`)
  return length
}

/**
 * Number of tokens of a saved prefix, from its header, the checksum included, no more than a file of `size` bytes can hold.
 * Throws `format` naming file and field when it is damaged or not for this model and cache.
 */
export function readHeader(
  where: string,
  { name, size }: { readonly name: string; readonly size: number },
  bytes: Uint8Array,
  cache: PageCache,
  model: string,
): number {
  const end = bytes.byteLength - checksumBytes
  assertChecksum(where, name, 'header', bytes.subarray(0, end), bytes.subarray(end), 0)
  const found = parse(where, name, bytes.subarray(preambleBytes, end))
  const { tokens } = found
  if (!Number.isSafeInteger(tokens) || (tokens as number) < 1)
    throw new FoveaError('format', where, `${name}: tokens is ${shown(tokens)}, no whole number ≥ 1`)
  for (const [field, wanted] of Object.entries(describe(cache, model, tokens as number)))
    if (!isSame(found[field], wanted))
      throw new FoveaError(
        'format',
        where,
        `${name}: ${field} is ${shown(found[field])}, this cache has ${shown(wanted)}`,
      )
  if ((tokens as number) % cache.pageSize !== 0)
    throw new FoveaError('format', where, `${name}: tokens is ${tokens}, no multiple of pageSize ${cache.pageSize}`)
  // before anything is counted off page by page
  const perPage = pagePlanes(cache.pools).reduce((sum, plane) => sum + plane.bytesPerPage, 0)
  const least = (tokens as number) * (4 + perPage / cache.pageSize)
  if (least > size)
    throw new FoveaError('format', where, `${name}: tokens is ${tokens}, of which ${size} bytes hold fewer`)
  return tokens as number
}

function isSame(found: unknown, wanted: string | number | readonly string[]): boolean {
  if (typeof wanted !== 'object') return found === wanted
  return Array.isArray(found) && found.length === wanted.length && wanted.every((each, i) => found[i] === each)
}

/** A value as an error prints it. A description may nest as deep as it is long. */
function shown(value: unknown): string {
  let text: string
  try {
    text = JSON.stringify(value) ?? String(value)
  } catch {
    text = 'nested too deep'
  }
  return text.length > 200 ? `${text.slice(0, 200)}…` : text
}

/** Throws `format` naming file and part when the bytes are not those that the checksum was made of. */
export function assertChecksum(
  where: string,
  name: string,
  part: string,
  bytes: Uint8Array,
  expected: Uint8Array,
  seed: number,
): void {
  const aligned = bytes.byteOffset % 4 === 0 ? bytes : bytes.slice()
  if (!checksum(aligned, seed).every((byte, i) => byte === expected[i]))
    throw new FoveaError('format', where, `${name} is damaged: the checksum of ${part} does not agree`)
}

function describe(cache: PageCache, model: string, tokens: number): Description {
  const layers = cache.pools.map(
    ({ numKvHeads, headDim, valueDim, latent }) =>
      `${numKvHeads} heads of ${headDim}${valueDim === headDim ? '' : `, values of ${valueDim}`}${latent ? ' in them' : ''}`,
  )
  return { model, format: cache.format, pageSize: cache.pageSize, layers, tokens }
}

function parse(where: string, name: string, bytes: Uint8Array): Record<string, unknown> {
  try {
    const found: unknown = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes))
    if (typeof found === 'object' && found !== null) return found as Record<string, unknown>
    throw new TypeError(`it is ${shown(found)}`)
  } catch (cause) {
    throw new FoveaError('format', where, `${name}: the description is no JSON object`, { cause })
  }
}
