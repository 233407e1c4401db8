import type { WeightDType } from '../../nn/weight-data.ts'
import { weightBlock } from '../../nn/weight-data.ts'
import { FoveaError } from '../../tile/index.ts'
import type { ByteSource } from './byte-source.ts'
import { fingerprintOf } from './fingerprint.ts'

/** A weight as it is stored, or numbers that are none (masks, counters): shapes say how many bytes they take. */
export type SizedDType = WeightDType | 'f64' | 'i64' | 'i32' | 'i16' | 'i8' | 'u64' | 'u32' | 'u16' | 'u8' | 'bool'

/** What a tensor of a file holds; `opaque`: elements of a kind that is not known here, which matters where one is asked for. */
export type TensorDType = SizedDType | 'opaque'

/** Bytes of an element of the dtypes that are no weights. */
const otherBytes: Readonly<Record<Exclude<SizedDType, WeightDType>, number>> = {
  f64: 8,
  i64: 8,
  i32: 4,
  i16: 2,
  i8: 1,
  u64: 8,
  u32: 4,
  u16: 2,
  u8: 1,
  bool: 1,
}

/** A tensor of a file; its bytes are read when asked for, little-endian, as they are stored. */
export interface TensorEntry {
  readonly name: string
  readonly dtype: TensorDType
  /** the dtype as the file calls it */
  readonly storedAs: string
  /** outermost dimension first, as PyTorch writes it; blocks of quantised dtypes lie along the last */
  readonly shape: readonly number[]
  readonly byteLength: number
  read(): Promise<Uint8Array>
  /** the bytes of rows `from` to `to` (excluded) of the first dimension */
  readRows(from: number, to: number): Promise<Uint8Array>
  /** the same elements in another shape, of as many */
  reshaped(shape: readonly number[]): TensorEntry
}

/** The tensors of a file, or of several, by name. */
export interface TensorTable {
  /** the file as it was named when opened */
  readonly source: string
  readonly metadata: ReadonlyMap<string, unknown>
  names(): readonly string[]
  has(name: string): boolean
  /** Throws `format` naming file and tensor when there is none of that name. */
  get(name: string): TensorEntry
  /**
   * Identifies names, shapes and weights at little cost: a hash of the header and of the first, middle and last
   * 1,024 bytes of every tensor.
   */
  fingerprint(): Promise<string>
  close(): Promise<void>
}

/** Where a tensor lies in a source. */
export interface TensorPlace {
  readonly name: string
  readonly dtype: TensorDType
  readonly storedAs: string
  readonly shape: readonly number[]
  readonly offset: number
  readonly byteLength: number
}

/** Bytes of a tensor, or undefined where the last dimension is no whole number of blocks or the size is no number. */
export function tensorBytes(dtype: SizedDType, shape: readonly number[]): number | undefined {
  const count = shape.reduce((product, size) => product * size, 1)
  if (!Number.isSafeInteger(count)) return undefined
  if (!isWeightDType(dtype)) return count * otherBytes[dtype]
  const { elements, bytes } = weightBlock[dtype]
  if ((shape.at(-1) ?? 1) % elements !== 0) return undefined
  return (count / elements) * bytes
}

export function isWeightDType(dtype: TensorDType): dtype is WeightDType {
  return dtype in weightBlock
}

/** The table over one source. `headerBytes`: how much at the beginning of the source the fingerprint takes whole. */
export function tensorTable(
  source: ByteSource,
  places: readonly TensorPlace[],
  metadata: ReadonlyMap<string, unknown>,
  headerBytes: number,
): TensorTable {
  const entries = new Map(places.map((place) => [place.name, tensorEntry(source, place)]))
  return {
    source: source.name,
    metadata,
    names: () => [...entries.keys()],
    has: (name) => entries.has(name),
    get(name) {
      const entry = entries.get(name)
      if (!entry) throw new FoveaError('format', 'tensorTable', `${source.name} has no tensor ${name}`)
      return entry
    },
    fingerprint: () => fingerprintOf(source, headerBytes, places),
    close: () => source.close(),
  }
}

function tensorEntry(source: ByteSource, place: TensorPlace): TensorEntry {
  const { name, dtype, storedAs, shape, offset, byteLength } = place
  const rows = shape[0] ?? 1
  return {
    name,
    dtype,
    storedAs,
    shape,
    byteLength,
    read: () => source.read(offset, byteLength),
    readRows(from, to) {
      if (!(Number.isInteger(from) && Number.isInteger(to) && 0 <= from && from <= to && to <= rows))
        throw new FoveaError('argument', 'readRows', `${name} has ${rows} rows, asked for ${from} to ${to}`)
      if (dtype === 'opaque')
        throw new FoveaError('format', 'readRows', `${name} is ${storedAs}: how long its rows are is not known here`)
      const rowBytes = rows === 0 ? 0 : byteLength / rows
      return source.read(offset + from * rowBytes, (to - from) * rowBytes)
    },
    reshaped: (other) => tensorEntry(source, { ...place, shape: other }),
  }
}
