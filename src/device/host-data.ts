import { type StorageDType, storageBytes } from '../ir/dtype.ts'
import { FoveaError } from '../ir/error.ts'
import { toBfloatBits, toHalfBits } from '../ir/narrow-float.ts'
import { encodeNarrow, narrowDecoder } from './narrow-arrays.ts'

/** Typed arrays of numbers; a Float16Array (newer engines) is accepted as well. */
export type NumberArray =
  | Float32Array
  | Float64Array
  | Int32Array
  | Uint32Array
  | Int16Array
  | Uint16Array
  | Int8Array
  | Uint8Array
  | Uint8ClampedArray

/** What a tensor can be filled from. */
export type HostArray = NumberArray | ArrayBuffer | readonly number[]

/** What a tensor reads as: Float32Array for f32, f16 and bf16, else the array of its dtype. */
export type TensorData = Float32Array | Int32Array | Uint32Array | Int8Array | Uint8Array

type StoredArray = Float32Array | Int32Array | Uint32Array | Uint16Array | Int8Array | Uint8Array

const integerRange: Readonly<Record<'i32' | 'u32' | 'i8' | 'u8', readonly [number, number]>> = {
  i32: [-2147483648, 2147483647],
  u32: [0, 4294967295],
  i8: [-128, 127],
  u8: [0, 255],
}

const ownDType: Readonly<Record<string, StorageDType>> = {
  Float32Array: 'f32',
  Float64Array: 'f32',
  Float16Array: 'f16',
  Int32Array: 'i32',
  Uint32Array: 'u32',
  Int16Array: 'i32',
  Int8Array: 'i8',
  Uint8Array: 'u8',
  Uint8ClampedArray: 'u8',
  Array: 'f32',
}

/** "Float32Array(12)", for messages. */
export function describeData(data: unknown): string {
  if (data instanceof ArrayBuffer) return `ArrayBuffer(${data.byteLength} bytes)`
  if (Array.isArray(data)) return `number[](${data.length})`
  if (ArrayBuffer.isView(data)) return `${arrayName(data)}(${(data as { length?: number }).length ?? data.byteLength})`
  return data === null ? 'null' : typeof data
}

/** The bytes of `data` as elements of `dtype` (by default the data's own); throws what `Device.tensor` documents. */
export function encodeData(
  where: string,
  data: HostArray,
  named?: StorageDType,
): { dtype: StorageDType; count: number; bytes: Uint8Array } {
  const name = arrayName(data)
  if (!(name in ownDType) && name !== 'Uint16Array' && name !== 'ArrayBuffer')
    throw new FoveaError(
      'dtype',
      where,
      `data must be a typed array of numbers, an ArrayBuffer or a number[], got ${describeData(data)}`,
    )
  if (named !== undefined) checkDType(where, named)
  const dtype = named ?? ownDType[name]
  if (!dtype)
    throw new FoveaError(
      'dtype',
      where,
      `${describeData(data)} needs a dtype to be named (${Object.keys(storageBytes).join(', ')})`,
    )
  if (data instanceof ArrayBuffer) {
    if (data.byteLength % storageBytes[dtype] !== 0)
      throw new FoveaError('shape', where, `${describeData(data)} is no whole number of ${dtype} elements`)
    return { dtype, count: data.byteLength / storageBytes[dtype], bytes: new Uint8Array(data) }
  }
  const stored = convertData(where, data, name, dtype)
  return { dtype, count: stored.length, bytes: new Uint8Array(stored.buffer, stored.byteOffset, stored.byteLength) }
}

/** An array over bytes of a storage dtype as they lie in memory (f16 and bf16 as bits). */
export function storedArray(
  dtype: StorageDType,
  buffer: ArrayBufferLike,
  byteOffset: number,
  length: number,
): StoredArray {
  switch (dtype) {
    case 'f32':
      return new Float32Array(buffer, byteOffset, length)
    case 'f16':
    case 'bf16':
      return new Uint16Array(buffer, byteOffset, length)
    case 'i32':
      return new Int32Array(buffer, byteOffset, length)
    case 'u32':
      return new Uint32Array(buffer, byteOffset, length)
    case 'i8':
      return new Int8Array(buffer, byteOffset, length)
    case 'u8':
      return new Uint8Array(buffer, byteOffset, length)
    default:
      return dtype satisfies never
  }
}

/** An empty array of what a dtype reads as. */
export function readableArray(dtype: StorageDType, length: number): TensorData {
  if (dtype === 'f32' || dtype === 'f16' || dtype === 'bf16') return new Float32Array(length)
  return storedArray(dtype, new ArrayBuffer(length * storageBytes[dtype]), 0, length) as TensorData
}

/** Stored element → number, for `count` elements. */
export function decoder(dtype: StorageDType, count: number): (stored: number) => number {
  return dtype === 'f16' || dtype === 'bf16' ? narrowDecoder(dtype, count) : (x) => x
}

/** Number → stored element; integers are expected in range. */
export function encoder(dtype: StorageDType): (value: number) => number {
  return dtype === 'f16' ? toHalfBits : dtype === 'bf16' ? toBfloatBits : (x) => x
}

/** Throws `dtype` for a name that is no storage dtype. */
export function checkDType(where: string, dtype: unknown): asserts dtype is StorageDType {
  if (typeof dtype !== 'string' || !Object.hasOwn(storageBytes, dtype))
    throw new FoveaError(
      'dtype',
      where,
      `dtype must be one of ${Object.keys(storageBytes).join(', ')}, got ${String(dtype)}`,
    )
}

function arrayName(data: unknown): string {
  return Object.prototype.toString.call(data).slice(8, -1)
}

function convertData(
  where: string,
  data: NumberArray | readonly number[],
  name: string,
  dtype: StorageDType,
): StoredArray {
  const narrow = dtype === 'f16' || dtype === 'bf16'
  if (name === 'Uint16Array' && narrow) return data as Uint16Array
  if (name === 'Uint16Array' && dtype === 'f32')
    throw new FoveaError('dtype', where, `a Uint16Array holds raw bits of f16 or bf16, not f32`)
  if (ownDType[name] === dtype && ArrayBuffer.isView(data) && data.BYTES_PER_ELEMENT === storageBytes[dtype])
    return storedArray(dtype, data.buffer, data.byteOffset, data.length)
  if (narrow && data instanceof Float32Array) return encodeNarrow(dtype, data)
  const stored = storedArray(dtype, new ArrayBuffer(data.length * storageBytes[dtype]), 0, data.length)
  const encode = encoder(dtype)
  const range = dtype in integerRange ? integerRange[dtype as keyof typeof integerRange] : null
  for (let i = 0; i < data.length; i++) {
    const value = data[i] as number
    if (typeof value !== 'number')
      throw new FoveaError('argument', where, `data must be numbers, got ${typeof value} at ${i}`)
    if (range && !(Number.isInteger(value) && value >= range[0] && value <= range[1]))
      throw new FoveaError(
        'argument',
        where,
        `${dtype} holds integers ${range[0]} to ${range[1]}, got ${value} at ${i}`,
      )
    stored[i] = encode(value)
  }
  return stored
}
