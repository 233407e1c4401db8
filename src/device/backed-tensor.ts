import { checkFields, type FieldsOf } from '../ir/check-fields.ts'
import { type StorageDType, storageBytes } from '../ir/dtype.ts'
import { FoveaError } from '../ir/error.ts'
import type { TensorParam } from '../ir/node.ts'
import { contiguousStrides, type TensorSpec } from '../ir/tensor-spec.ts'
import { load } from '../tile/language.ts'
import type { Operand, Value } from '../tile/value.ts'
import type { Backend, MemoryBlock } from './backend.ts'
import type { Device, Tensor } from './device.ts'
import {
  decoder,
  describeData,
  encodeData,
  type HostArray,
  readableArray,
  storedArray,
  type TensorData,
} from './host-data.ts'
import { checkView, describeTensor, eachRun, elementCount, isContiguous, lastIndex } from './tensor-layout.ts'

/** Memory shared by the views of one tensor; freed when the last of them is disposed. */
export interface SharedBlock<Block> {
  readonly block: Block
  /** elements that it holds */
  readonly capacity: number
  holders: number
  /** writes so far; null for memory of the caller's */
  version: number | null
  release(): void
}

/** One holder less. */
export function releaseMemory<Block>(memory: SharedBlock<Block>): void {
  memory.holders--
  if (memory.holders === 0) memory.release()
}

/** Notes that the memory changes. */
export function markWritten<Block>(memory: SharedBlock<Block>): void {
  if (memory.version !== null) memory.version++
}

const viewFields: FieldsOf<Parameters<Tensor['view']>[0]> = { shape: true, strides: true, offset: true }

/** The tensors of a `BackedDevice`. */
export class BackedTensor<Block extends MemoryBlock> implements Tensor {
  readonly device: Device
  readonly dtype: StorageDType
  readonly shape: readonly number[]
  readonly strides: readonly number[]
  readonly offset: number
  readonly size: number
  readonly memory: SharedBlock<Block>
  readonly #backend: Backend<Block>
  #param: TensorParam | null = null
  #disposed = false

  constructor(device: Device, backend: Backend<Block>, memory: SharedBlock<Block>, spec: TensorSpec) {
    this.device = device
    this.dtype = spec.dtype
    this.shape = Object.freeze([...spec.shape])
    this.strides = Object.freeze([...spec.strides])
    this.offset = spec.offset
    this.size = spec.shape.reduce((product, size) => product * size, 1)
    this.memory = memory
    this.#backend = backend
    memory.holders++
  }

  get disposed(): boolean {
    return this.#disposed || this.device.disposed
  }

  get version(): number | null {
    return this.memory.version
  }

  async read(): Promise<TensorData> {
    const { bytes, count } = await this.#readReach('tensor.read')
    if (count === 0) return readableArray(this.dtype, 0)
    // a copy where the bytes do not start at a multiple of the element
    const aligned = bytes.byteOffset % storageBytes[this.dtype] === 0 ? bytes : bytes.slice()
    const stored = storedArray(this.dtype, aligned.buffer, aligned.byteOffset, count)
    const plain = this.dtype !== 'f16' && this.dtype !== 'bf16'
    if (plain && isContiguous(this)) return stored as TensorData
    const result = readableArray(this.dtype, this.size)
    const decode = decoder(this.dtype, this.size)
    eachRun({ ...this.#spec(), offset: 0 }, (at, index, length) => {
      if (plain) result.set(stored.subarray(index, index + length), at)
      else for (let i = 0; i < length; i++) result[at + i] = decode(stored[index + i] as number)
    })
    return result
  }

  async readBytes(): Promise<Uint8Array> {
    const { bytes, count } = await this.#readReach('tensor.readBytes')
    if (count === 0 || isContiguous(this)) return bytes
    const width = storageBytes[this.dtype]
    const result = new Uint8Array(this.size * width)
    eachRun({ ...this.#spec(), offset: 0 }, (at, index, length) => {
      result.set(bytes.subarray(index * width, (index + length) * width), at * width)
    })
    return result
  }

  write(data: HostArray): void {
    const where = 'tensor.write'
    this.#assertAlive(where)
    this.#assertNotRecording(where)
    const { count, bytes } = encodeData(where, data, this.dtype)
    if (count !== this.size)
      throw new FoveaError(
        'shape',
        where,
        `${describeTensor(this)} has ${this.size} elements, got ${describeData(data)}`,
      )
    const width = storageBytes[this.dtype]
    markWritten(this.memory)
    eachRun(this, (at, index, length) => {
      this.#backend.write(where, this.memory.block, index * width, bytes.subarray(at * width, (at + length) * width))
    })
  }

  view(spec: {
    readonly shape: readonly number[]
    readonly strides?: readonly number[]
    readonly offset?: number
  }): Tensor {
    checkFields('tensor.view', 'spec', spec, viewFields)
    elementCount('tensor.view', spec.shape)
    return this.#derive('tensor.view', {
      shape: spec.shape,
      strides: spec.strides ?? contiguousStrides(spec.shape),
      offset: spec.offset ?? this.offset,
    })
  }

  sharesMemory(other: Tensor): boolean {
    return other instanceof BackedTensor && other.memory === this.memory
  }

  transpose(dimA: number, dimB: number): Tensor {
    const where = 'tensor.transpose'
    const order = this.shape.map((_, dim) => dim)
    order[this.#dimension(where, dimA)] = dimB
    order[this.#dimension(where, dimB)] = dimA
    const permuted = (values: readonly number[]) => order.map((dim) => values[dim] as number)
    return this.#derive(where, { shape: permuted(this.shape), strides: permuted(this.strides), offset: this.offset })
  }

  slice(dim: number, from: number, to: number): Tensor {
    const where = 'tensor.slice'
    const length = this.shape[this.#dimension(where, dim)] as number
    if (!Number.isInteger(from) || !Number.isInteger(to) || from < 0 || to < from || to > length)
      throw new FoveaError(
        'argument',
        where,
        `${describeTensor(this)} has no elements ${from} … ${to} of dimension ${dim}`,
      )
    const shape = this.shape.map((size, d) => (d === dim ? to - from : size))
    return this.#derive(where, {
      shape,
      strides: this.strides,
      offset: this.offset + from * (this.strides[dim] as number),
    })
  }

  reshape(shape: readonly number[]): Tensor {
    const where = 'tensor.reshape'
    if (elementCount(where, shape) !== this.size || !isContiguous(this))
      throw new FoveaError('shape', where, `${describeTensor(this)} cannot be seen as [${shape.join(', ')}]`)
    return this.#derive(where, { shape, strides: contiguousStrides(shape), offset: this.offset })
  }

  at(...indices: readonly Operand[]): Value {
    const where = 'tensor.at'
    this.#assertAlive(where)
    if (indices.length !== this.shape.length)
      throw new FoveaError(
        'shape',
        where,
        `${describeTensor(this)} takes ${this.shape.length} indices, got ${indices.length}`,
      )
    // one parameter for all uses, so that a program sees one captured tensor; nothing of its sizes specialises the program
    this.#param ??= {
      kind: 'tensor',
      name: 'captured',
      dtype: this.dtype,
      sizes: this.shape.map(() => null),
      access: 'read',
      alignment: 1,
      source: this,
    }
    return load(this.#param, indices)
  }

  dispose(): void {
    if (this.#disposed) return
    this.#disposed = true
    if (!this.device.disposed) releaseMemory(this.memory)
  }

  /** A copy of the memory from the first element to the last, in elements and as stored. */
  async #readReach(where: string): Promise<{ bytes: Uint8Array; count: number }> {
    this.#assertAlive(where)
    this.#assertNotRecording(where)
    if (this.size === 0) {
      await this.#backend.sync(where)
      return { bytes: new Uint8Array(), count: 0 }
    }
    const width = storageBytes[this.dtype]
    const count = lastIndex(this) - this.offset + 1
    return { bytes: await this.#backend.read(where, this.memory.block, this.offset * width, count * width), count }
  }

  #spec(): TensorSpec {
    return { dtype: this.dtype, shape: this.shape, strides: this.strides, offset: this.offset }
  }

  #derive(where: string, layout: Omit<TensorSpec, 'dtype'>): Tensor {
    this.#assertAlive(where)
    const spec: TensorSpec = { ...layout, dtype: this.dtype }
    checkView(where, spec, this.memory.capacity)
    return new BackedTensor(this.device, this.#backend, this.memory, spec)
  }

  #dimension(where: string, dim: number): number {
    if (!Number.isInteger(dim) || dim < 0 || dim >= this.shape.length)
      throw new FoveaError('argument', where, `${describeTensor(this)} has no dimension ${dim}`)
    return dim
  }

  #assertAlive(where: string): void {
    if (this.device.disposed)
      throw new FoveaError('disposed', where, `the device of ${describeTensor(this)} was disposed`)
    if (this.#disposed) throw new FoveaError('disposed', where, `${describeTensor(this)} was disposed`)
    this.#backend.assertUsable(where)
  }

  #assertNotRecording(where: string): void {
    if (this.device.recording)
      throw new FoveaError('argument', where, `${describeTensor(this)} inside device.record, which holds kernels only`)
  }
}
