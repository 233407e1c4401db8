import { checkFields, type FieldsOf, FoveaError } from '../tile/index.ts'
import { checksum, checksumBytes } from './checksum.ts'
import type { PageCache } from './page-cache.ts'
import { readPlane, writePlane } from './page-planes.ts'
import { assertChecksum, preambleBytes, prefixLayout, readHeader, readPreamble, tokensSeed } from './prefix-header.ts'

/** Takes bytes in order; they are written when the promise is fulfilled. */
export interface PrefixSink {
  write(bytes: Uint8Array): Promise<void>
}

/** Bytes of a file, read by position: exactly `length` of them. */
export interface PrefixSource {
  readonly name: string
  readonly size: number
  read(offset: number, length: number): Promise<Uint8Array>
}

export interface SavedPrefixOptions {
  /** tells the model, as `Checkpoint.fingerprint` does; a prefix is restored for the same one only */
  readonly model: string
}

/**
 * Writes the keys and values of the first `tokens`, in whole pages, to `sink`: a header with version, model, geometry and
 * page format; the tokens; the pages; with checksums throughout. The cache may go on working meanwhile. Nothing is held but
 * one chunk of 4 MiB. Gives how many tokens and bytes that were.
 *
 * Throws `argument` when there are no whole pages of tokens, or not all of them are in the cache; `disposed`; what the
 * sink throws.
 */
export async function savePrefix(
  cache: PageCache,
  tokens: ArrayLike<number>,
  sink: PrefixSink,
  options: SavedPrefixOptions,
): Promise<{ tokens: number; bytes: number }> {
  const where = 'savePrefix'
  checkFields(where, 'options', options, fields)
  const { model } = options
  const pinned = cache.pin(tokens)
  try {
    const count = pinned.length
    const whole = Math.floor(tokens.length / cache.pageSize)
    if (whole === 0 || count < whole * cache.pageSize)
      throw new FoveaError(
        'argument',
        where,
        `of ${whole} whole pages of ${cache.pageSize} tokens ${pinned.pages.length} are in the cache`,
      )
    const { header, chunks, bytes } = prefixLayout(cache, model, count)
    const write = async (part: Uint8Array, seed: number) => {
      await sink.write(part)
      await sink.write(checksum(part, seed))
    }
    await write(header, 0)
    await write(new Uint8Array(Int32Array.from({ length: count }, (_, i) => tokens[i] as number).buffer), tokensSeed)
    for (const { plane, from, to, seed } of chunks) {
      const part = await readPlane(plane, pinned.pages.slice(from, to))
      await write(part.byteOffset % 4 === 0 ? part : part.slice(), seed)
    }
    return { tokens: count, bytes }
  } finally {
    pinned.release()
  }
}

/**
 * Puts a saved prefix into a cache: pages are allocated, evicting others as needed, and written chunk by chunk; when all of
 * them proved sound they are entered, so that `cache.open` finds them. Gives the tokens, of which those that the cache had
 * already keep their pages.
 *
 * Throws `format` naming file and field: no saved prefix, another version, model, page format or geometry, cut short, a byte
 * that is not as it was written; `capacity` when there are not enough pages; `unsupported` for a cache that shares nothing;
 * `disposed`; what the source throws. The cache is then as it was, but for what was evicted.
 */
export async function restorePrefix(
  cache: PageCache,
  source: PrefixSource,
  options: SavedPrefixOptions,
): Promise<Int32Array> {
  const where = 'restorePrefix'
  checkFields(where, 'options', options, fields)
  const { model } = options
  const { name, size } = source
  const assertSize = (wanted: number, exact: boolean) => {
    if (exact ? size !== wanted : size < wanted)
      throw new FoveaError('format', where, `${name}: it has ${size} bytes, a saved prefix of its kind has ${wanted}`)
  }
  assertSize(preambleBytes, false)
  const preamble = await source.read(0, preambleBytes)
  let at = preambleBytes + readPreamble(where, name, preamble) + checksumBytes
  assertSize(at, false)
  const count = readHeader(where, source, await source.read(0, at), cache, model)
  const { chunks, bytes } = prefixLayout(cache, model, count)
  assertSize(bytes, true)
  const next = async (length: number, part: string, seed: number) => {
    const read = await source.read(at, length + checksumBytes)
    at += length + checksumBytes
    const content = read.subarray(0, length)
    const aligned = content.byteOffset % 4 === 0 ? content : content.slice()
    assertChecksum(where, name, part, aligned, read.subarray(length), seed)
    return aligned
  }
  const stored = await next(4 * count, 'tokens', tokensSeed)
  const tokens = new Int32Array(stored.slice().buffer)
  await cache.enter(tokens, async (pages, first) => {
    for (const { plane, from, to, bytes: length, seed } of chunks) {
      const part = await next(length, `${plane.kind} of layer ${plane.layer}, pages ${from} to ${to - 1}`, seed)
      const skipped = Math.max(0, first - from)
      if (from + skipped < to)
        writePlane(plane, pages.slice(from + skipped - first, to - first), part.subarray(skipped * plane.bytesPerPage))
    }
  })
  return tokens
}

const fields: FieldsOf<SavedPrefixOptions> = { model: true }
