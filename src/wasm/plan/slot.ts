/** A piece of scratch with a lifetime; several values may take turns in it. */
export interface Storage {
  bytes: number
  /** position of the first and last operation during which it is in use */
  start: number
  end: number
  /** bytes from the start of the scratch, once placed */
  offset: number
}

/**
 * Where a value lies in scratch: 4 bytes an element, rows of whole vectors. Row vectors [r, 1] are dense, so that four rows
 * make a vector.
 */
export interface Slot {
  readonly rows: number
  readonly cols: number
  /** bytes from one row to the next */
  readonly rowStride: number
  storage: Storage
}

export function makeSlot(rows: number, cols: number): Slot {
  const rowStride = cols === 1 ? 4 : strideOf(cols)
  const height = cols === 1 || rows > 1 ? roundUp(rows, 4) : 1
  const bytes = roundUp(height * rowStride + 16, 64)
  return { rows, cols, rowStride, storage: { bytes, start: Number.POSITIVE_INFINITY, end: -1, offset: 0 } }
}

/** Bytes of a row of `cols` elements: whole vectors, and not a multiple of a kibibyte, whose lines fall into few cache sets. */
function strideOf(cols: number): number {
  const bytes = roundUp(cols * 4, 16)
  return bytes % 1024 === 0 ? bytes + 64 : bytes
}

export function roundUp(n: number, multiple: number): number {
  return Math.ceil(n / multiple) * multiple
}

/** Places storages so that those in use at the same time do not overlap; returns the bytes used from `base` on. */
export function placeStorages(storages: Iterable<Storage>, base: number): number {
  const placed: Storage[] = []
  let top = base
  for (const storage of [...storages].sort((a, b) => a.start - b.start || b.bytes - a.bytes)) {
    const alive = placed
      .filter((other) => other.end >= storage.start && other.start <= storage.end)
      .sort((a, b) => a.offset - b.offset)
    let offset = base
    for (const other of alive) {
      if (other.offset - offset >= storage.bytes) break
      offset = Math.max(offset, other.offset + other.bytes)
    }
    storage.offset = offset
    top = Math.max(top, offset + storage.bytes)
    placed.push(storage)
  }
  return top
}
