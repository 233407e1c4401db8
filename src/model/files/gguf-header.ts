import { FoveaError } from '../../tile/index.ts'
import type { ByteSource } from './byte-source.ts'
import type { GgufValue, GgufValueType } from './gguf-types.ts'
import { ggufValueBytes, ggufValueTypes } from './gguf-types.ts'

/** A tensor as the header describes it, with nothing about it checked but that it could be read. */
export interface GgufTensorInfo {
  readonly name: string
  /** innermost dimension first, as ggml counts */
  readonly dims: readonly number[]
  readonly type: number
  /** from the beginning of the tensor data */
  readonly offset: number
}

export interface GgufHeader {
  readonly version: number
  readonly metadata: ReadonlyMap<string, GgufValue>
  readonly tensors: readonly GgufTensorInfo[]
  /** bytes of all this */
  readonly byteLength: number
}

/** ggml's GGML_MAX_DIMS */
const maxDims = 4
/** arrays of arrays: no file has them, llama.cpp reads none; deeper ones would only exhaust the stack */
const maxDepth = 2

/**
 * Reads what precedes the tensor data of a GGUF file (version 2 or 3, little-endian): magic, version, counts, metadata,
 * descriptions of tensors (ggml's docs/gguf.md).
 *
 * A count or length is believed only as far as the file could hold what it announces, before anything is allocated.
 * Throws `format` naming the file and the field.
 */
export async function readGgufHeader(source: ByteSource): Promise<GgufHeader> {
  const reader = new HeaderReader(source)
  await reader.fill(8, 'magic and version')
  const magic = reader.u32()
  if (magic !== 0x46554747)
    throw reader.fault(`magic is 0x${magic.toString(16).padStart(8, '0')}, not that of GGUF (0x46554747)`)
  const version = reader.u32()
  if (version !== 2 && version !== 3) {
    const bigEndian = (version & 0xffff) === 0 ? ' (a big-endian file?)' : ''
    throw reader.fault(`version is ${version}${bigEndian}; 2 and 3 are read`)
  }
  // a name or key of no letters, a type and a value; a name, a number of dimensions, a type, an offset
  const tensorCount = await reader.count('tensor_count', 24)
  const valueCount = await reader.count('metadata_kv_count', 13)

  const metadata = new Map<string, GgufValue>()
  for (let i = 0; i < valueCount; i++) {
    const key = await reader.string(`key ${i + 1} of ${valueCount}`)
    const type = await reader.valueType(key)
    if (metadata.has(key)) throw reader.fault(`metadata has the key ${key} twice`)
    metadata.set(key, await readValue(reader, type, key, 0))
  }
  const tensors: GgufTensorInfo[] = []
  for (let i = 0; i < tensorCount; i++) tensors.push(await readTensorInfo(reader, `tensor ${i + 1} of ${tensorCount}`))
  return { version, metadata, tensors, byteLength: reader.position }
}

async function readTensorInfo(reader: HeaderReader, field: string): Promise<GgufTensorInfo> {
  const name = await reader.string(`name of ${field}`)
  await reader.fill(4, `dimensions of ${name}`)
  const numDims = reader.u32()
  if (numDims > maxDims) throw reader.fault(`${name} has ${numDims} dimensions, over the limit of ${maxDims}`)
  await reader.fill(numDims * 8 + 12, `shape, type and offset of ${name}`)
  const dims = Array.from({ length: numDims }, () => reader.size(`a dimension of ${name}`))
  const type = reader.u32()
  return { name, dims, type, offset: reader.size(`the offset of ${name}`) }
}

async function readValue(reader: HeaderReader, type: GgufValueType, key: string, depth: number): Promise<GgufValue> {
  if (type === 'string') return reader.string(key)
  if (type !== 'array') {
    await reader.fill(ggufValueBytes[type], key)
    return reader.number(type)
  }
  if (depth === maxDepth) throw reader.fault(`${key}: arrays of arrays of arrays`)
  const elementType = await reader.valueType(key)
  const length = await reader.count(`length of ${key}`, ggufValueBytes[elementType])
  const values: GgufValue[] = []
  if (elementType === 'string' || elementType === 'array') {
    for (let i = 0; i < length; i++) values.push(await readValue(reader, elementType, key, depth + 1))
  } else {
    await reader.fill(length * ggufValueBytes[elementType], key)
    for (let i = 0; i < length; i++) values.push(reader.number(elementType))
  }
  return values
}

const chunkBytes = 2 ** 20
/** a text of V8 has at most 2^29 − 24 letters; the longest that files have is a tokenizer.json, of some tens of MB */
const maxString = 2 ** 28

/** Reads numbers and strings in order, a chunk of the file at a time: after `fill(n)`, n bytes can be taken. */
class HeaderReader {
  readonly #source: ByteSource
  // a byte order mark is a character like any other: tokens begin with it
  readonly #decoder = new TextDecoder('utf-8', { ignoreBOM: true })
  #bytes = new Uint8Array()
  #view = new DataView(this.#bytes.buffer)
  /** where #bytes begin in the file, and what is taken of them */
  #start = 0
  #at = 0

  constructor(source: ByteSource) {
    this.#source = source
  }

  get position(): number {
    return this.#start + this.#at
  }

  fault(message: string, cause?: unknown): FoveaError {
    return new FoveaError('format', 'openGguf', `${this.#source.name}: ${message}`, { cause })
  }

  async fill(length: number, field: string): Promise<void> {
    if (this.#at + length <= this.#bytes.byteLength) return
    const left = this.#source.size - this.position
    if (length > left)
      throw this.fault(`cut short: ${field} takes ${length} bytes at ${this.position}, ${left} are left`)
    this.#start = this.position
    this.#at = 0
    this.#bytes = new Uint8Array(await this.#source.read(this.#start, Math.min(left, Math.max(length, chunkBytes))))
    this.#view = new DataView(this.#bytes.buffer)
  }

  u32(): number {
    this.#at += 4
    return this.#view.getUint32(this.#at - 4, true)
  }

  /** An unsigned integer of 64 bits that counts bytes or elements. */
  size(field: string): number {
    this.#at += 8
    const value = this.#view.getBigUint64(this.#at - 8, true)
    if (value > BigInt(Number.MAX_SAFE_INTEGER)) throw this.fault(`${field} is ${value}, more than can be`)
    return Number(value)
  }

  /** A count of things that take at least `bytesEach`. */
  async count(field: string, bytesEach: number): Promise<number> {
    await this.fill(8, field)
    const count = this.size(field)
    const left = this.#source.size - this.position
    if (count * bytesEach > left)
      throw this.fault(`${field} is ${count}, which the ${left} bytes that follow cannot hold (cut short, or damaged)`)
    return count
  }

  async string(field: string): Promise<string> {
    const length = await this.count(`length of ${field}`, 1)
    if (length > maxString) throw this.fault(`${field} has ${length} bytes, over the limit of ${maxString}`)
    await this.fill(length, field)
    this.#at += length
    return this.#decoder.decode(this.#bytes.subarray(this.#at - length, this.#at))
  }

  async valueType(key: string): Promise<GgufValueType> {
    await this.fill(4, `type of ${key}`)
    const id = this.u32()
    const type = ggufValueTypes[id]
    if (type === undefined) throw this.fault(`${key}: ${id} is no type of a value`)
    return type
  }

  number(type: Exclude<GgufValueType, 'string' | 'array'>): number | bigint | boolean {
    const at = this.#at
    this.#at += ggufValueBytes[type]
    switch (type) {
      case 'u8':
        return this.#view.getUint8(at)
      case 'i8':
        return this.#view.getInt8(at)
      case 'u16':
        return this.#view.getUint16(at, true)
      case 'i16':
        return this.#view.getInt16(at, true)
      case 'u32':
        return this.#view.getUint32(at, true)
      case 'i32':
        return this.#view.getInt32(at, true)
      case 'f32':
        return this.#view.getFloat32(at, true)
      case 'f64':
        return this.#view.getFloat64(at, true)
      case 'bool':
        return this.#view.getUint8(at) !== 0
      case 'u64':
        return small(this.#view.getBigUint64(at, true))
      case 'i64':
        return small(this.#view.getBigInt64(at, true))
    }
    return type satisfies never
  }
}

function small(value: bigint): number | bigint {
  return Number.isSafeInteger(Number(value)) ? Number(value) : value
}
