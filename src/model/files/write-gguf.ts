import { FoveaError } from '../../tile/index.ts'
import type { GgufValueType } from './gguf-types.ts'
import { ggmlTypeOf, ggufValueBytes, ggufValueTypes } from './gguf-types.ts'
import { tensorBytes } from './tensor-table.ts'
import type { ByteSink } from './write-aside.ts'
import { writeAside } from './write-aside.ts'
import type { TensorToWrite } from './write-safetensors.ts'

type ElementType = Exclude<GgufValueType, 'array'>
type Scalar = number | bigint | boolean | string

/** A value of the metadata with the type that readers expect of it. */
export type GgufTypedValue =
  | { readonly type: ElementType; readonly value: Scalar }
  | { readonly type: { readonly arrayOf: ElementType }; readonly value: readonly Scalar[] }

/** a tensor begins at a multiple of this, the format's default */
const alignment = 32

/**
 * Writes a GGUF file of version 3 to a path (aside, then renamed: on failure the old file stays) or into a sink, tensors
 * in the order given, one at a time in memory. Shapes are outermost first and are turned round here.
 *
 * Throws `argument` naming key or tensor: a name twice, more than four dimensions, rows that are no whole number of
 * blocks, bytes that do not fit the shape, a value that is not of its type; `io` naming the path.
 */
export async function writeGguf(
  target: string | ByteSink,
  metadata: ReadonlyMap<string, GgufTypedValue>,
  tensors: readonly TensorToWrite[],
): Promise<void> {
  if (typeof target === 'string') return writeAside(target, (sink) => writeGguf(sink, metadata, tensors))
  const sizes = tensors.map(checkedSize)
  const names = new Set(tensors.map((tensor) => tensor.name))
  if (names.size !== tensors.length)
    throw new FoveaError('argument', 'writeGguf', `${tensors.length} tensors have ${names.size} names`)

  const header = new ByteWriter()
  header.bytes(new TextEncoder().encode('GGUF'))
  header.scalar('u32', 3, 'version')
  header.scalar('u64', tensors.length, 'tensor_count')
  header.scalar('u64', metadata.size, 'metadata_kv_count')
  for (const [key, value] of metadata) writeValue(header, key, value)
  let offset = 0
  for (const [i, { name, dtype, shape }] of tensors.entries()) {
    header.scalar('string', name, name)
    header.scalar('u32', shape.length, name)
    for (const size of shape.toReversed()) header.scalar('u64', size, name)
    header.scalar('u32', ggmlTypeOf(dtype) ?? -1, name)
    header.scalar('u64', offset, name)
    offset += padded(sizes[i] ?? 0)
  }
  const length = header.length
  await target.write(header.take(padded(length)))

  for (const [i, tensor] of tensors.entries()) {
    const bytes = await tensor.read()
    const size = sizes[i] ?? 0
    if (bytes.byteLength !== size)
      throw new FoveaError(
        'argument',
        'writeGguf',
        `${tensor.name}: ${tensor.dtype} [${tensor.shape.join(', ')}] takes ${size} bytes, got ${bytes.byteLength}`,
      )
    await target.write(bytes)
    // the last one too: llama.cpp counts the padding as part of the data
    await target.write(new Uint8Array(padded(size) - size))
  }
}

function checkedSize({ name, dtype, shape }: TensorToWrite): number {
  const size = tensorBytes(dtype, shape)
  if (size === undefined || shape.length > 4 || ggmlTypeOf(dtype) === undefined)
    throw new FoveaError('argument', 'writeGguf', `${name}: ${dtype} [${shape.join(', ')}] cannot be written`)
  return size
}

function writeValue(header: ByteWriter, key: string, { type, value }: GgufTypedValue): void {
  header.scalar('string', key, key)
  if (typeof type === 'string') {
    header.scalar('u32', ggufValueTypes.indexOf(type), key)
    header.scalar(type, value, key)
    return
  }
  header.scalar('u32', ggufValueTypes.indexOf('array'), key)
  header.scalar('u32', ggufValueTypes.indexOf(type.arrayOf), key)
  const values = value as readonly Scalar[]
  header.scalar('u64', values.length, key)
  for (const element of values) header.scalar(type.arrayOf, element, key)
}

function padded(size: number): number {
  return Math.ceil(size / alignment) * alignment
}

/** the smallest and the largest value of the integers of up to 32 bits */
const integerRange: Readonly<Record<'u8' | 'i8' | 'u16' | 'i16' | 'u32' | 'i32', readonly [number, number]>> = {
  u8: [0, 255],
  i8: [-128, 127],
  u16: [0, 65535],
  i16: [-32768, 32767],
  u32: [0, 2 ** 32 - 1],
  i32: [-(2 ** 31), 2 ** 31 - 1],
}

/** Bytes in order, in memory that doubles. */
class ByteWriter {
  #bytes = new Uint8Array(4096)
  #view = new DataView(this.#bytes.buffer)
  length = 0

  /** What was written, with zeros up to `length`. */
  take(length: number): Uint8Array {
    this.#reserve(length - this.length)
    return this.#bytes.subarray(0, length)
  }

  bytes(bytes: Uint8Array): void {
    this.#reserve(bytes.byteLength)
    this.#bytes.set(bytes, this.length)
    this.length += bytes.byteLength
  }

  scalar(type: ElementType, value: unknown, key: string): void {
    const refused = () => new FoveaError('argument', 'writeGguf', `${key}: ${String(value)} is no ${type}`)
    if (type === 'string') {
      if (typeof value !== 'string') throw refused()
      const text = new TextEncoder().encode(value)
      this.scalar('u64', text.byteLength, key)
      this.bytes(text)
      return
    }
    this.#reserve(8)
    const at = this.length
    this.length += ggufValueBytes[type]
    if (type === 'u64' || type === 'i64') {
      if (typeof value !== 'bigint' && !Number.isSafeInteger(value)) throw refused()
      const wide = BigInt(value as number | bigint)
      if (wide !== (type === 'u64' ? BigInt.asUintN(64, wide) : BigInt.asIntN(64, wide))) throw refused()
      this.#view.setBigInt64(at, wide, true)
    } else if (type === 'bool') {
      if (typeof value !== 'boolean') throw refused()
      this.#view.setUint8(at, value ? 1 : 0)
    } else if (type === 'f32' || type === 'f64') {
      if (typeof value !== 'number') throw refused()
      if (type === 'f32') this.#view.setFloat32(at, value, true)
      else this.#view.setFloat64(at, value, true)
    } else {
      const [least, most] = integerRange[type]
      if (typeof value !== 'number' || !Number.isInteger(value) || value < least || value > most) throw refused()
      // two's complement, low bytes first
      for (let i = 0; i < ggufValueBytes[type]; i++) this.#view.setUint8(at + i, (value >> (8 * i)) & 255)
    }
  }

  #reserve(more: number): void {
    if (this.length + more <= this.#bytes.byteLength) return
    const grown = new Uint8Array(Math.max(2 * this.#bytes.byteLength, this.length + more))
    grown.set(this.#bytes)
    this.#bytes = grown
    this.#view = new DataView(grown.buffer)
  }
}
