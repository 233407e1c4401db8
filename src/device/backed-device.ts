import { checkFields, type FieldsOf } from '../ir/check-fields.ts'
import { type StorageDType, storageBytes } from '../ir/dtype.ts'
import { FoveaError } from '../ir/error.ts'
import { contiguousStrides, type TensorSpec } from '../ir/tensor-spec.ts'
import type { Kernel } from '../tile/kernel.ts'
import { BackedRecording, Capture } from './backed-recording.ts'
import { BackedTensor, markWritten, type SharedBlock } from './backed-tensor.ts'
import type { Backend, MemoryBlock } from './backend.ts'
import { bindKernel } from './bind-kernel.ts'
import type { BufferSpec, Device, DeviceMemory, DeviceTime, Recording, Tensor } from './device.ts'
import type { DeviceInfo, DeviceKind } from './device-info.ts'
import { checkDType, describeData, encodeData, type HostArray } from './host-data.ts'
import { rehearsingBackend } from './idle-backend.ts'
import { checkView, elementCount } from './tensor-layout.ts'
import { type Tiling, type TilingRequest, type TunedAlgorithm, tiling } from './tuning.ts'

/** A `Device` on a back end's adapter: checks arguments, counts memory, shares blocks between views. */
export class BackedDevice<Block extends MemoryBlock> implements Device {
  readonly kind: DeviceKind
  readonly info: DeviceInfo
  readonly #backend: Backend<Block>
  readonly rehearses: Device | null
  #allocated = 0
  #peak = 0
  #disposed = false
  #capture: Capture<Block> | null = null

  constructor(backend: Backend<Block>, rehearses: Device | null = null) {
    this.rehearses = rehearses
    this.kind = backend.kind
    this.info = backend.info
    this.#backend = backend
  }

  get disposed(): boolean {
    return this.#disposed
  }

  get recording(): boolean {
    return this.#capture !== null
  }

  get memory(): DeviceMemory {
    const reserved = this.#disposed ? 0 : this.#allocated + this.#backend.spareBytes
    return { allocated: this.#allocated, peak: this.#peak, reserved }
  }

  rehearsal(): Device {
    this.#assertAlive('device.rehearsal')
    return new BackedDevice(rehearsingBackend(this.#backend as unknown as Backend<MemoryBlock>), this)
  }

  tiling(algorithm: TunedAlgorithm, request: TilingRequest): Tiling {
    return tiling(this, algorithm, request)
  }

  tensor(data: HostArray, shape: readonly number[], dtype?: StorageDType): Tensor {
    const where = 'device.tensor'
    this.#assertAlive(where)
    const wanted = elementCount(where, shape)
    const encoded = encodeData(where, data, dtype)
    if (encoded.count !== wanted)
      throw new FoveaError(
        'shape',
        where,
        `${encoded.dtype} [${shape.join(', ')}] has ${wanted} elements, got ${describeData(data)}`,
      )
    const tensor = this.#allocate(where, shape, encoded.dtype, false)
    if (wanted > 0) this.#backend.write(where, tensor.memory.block, 0, encoded.bytes)
    return tensor
  }

  empty(shape: readonly number[], dtype: StorageDType = 'f32'): Tensor {
    return this.#allocate('device.empty', shape, dtype, false)
  }

  zeros(shape: readonly number[], dtype: StorageDType = 'f32'): Tensor {
    return this.#allocate('device.zeros', shape, dtype, true)
  }

  fromBuffer(buffer: GPUBuffer, spec: BufferSpec): Tensor {
    const where = 'device.fromBuffer'
    this.#assertAlive(where)
    if (!this.#backend.adopt) throw new FoveaError('unsupported', where, `a ${this.kind} device has no GPU buffers`)
    checkFields(where, 'spec', spec, bufferFields)
    elementCount(where, spec.shape)
    const dtype = spec.dtype ?? 'f32'
    checkDType(where, dtype)
    const block = this.#backend.adopt(where, buffer)
    const full: TensorSpec = {
      dtype,
      shape: spec.shape,
      strides: spec.strides ?? contiguousStrides(spec.shape),
      offset: spec.offset ?? 0,
    }
    const capacity = Math.floor(block.byteLength / storageBytes[dtype])
    checkView(where, full, capacity)
    return new BackedTensor(
      this,
      this.#backend,
      { block, capacity, holders: 0, version: null, release: () => {} },
      full,
    )
  }

  run(kernel: Kernel, tensors: Readonly<Record<string, Tensor>>): void {
    const where = 'device.run'
    this.#assertAlive(where)
    const args = bindKernel<Block>(this, kernel, tensors)
    if (kernel.grid.includes(0)) return
    const call = { program: kernel.program, grid: kernel.grid, args }
    if (this.#capture) {
      this.#backend.check(where, call)
      this.#capture.add(call, kernel, tensors)
      return
    }
    for (const param of this.rehearses ? [] : kernel.program.params)
      if (param.kind === 'tensor' && param.access !== 'read')
        markWritten((tensors[param.name] as BackedTensor<Block>).memory)
    this.#backend.run(where, call)
  }

  record(work: () => void): Recording {
    const where = 'device.record'
    this.#assertAlive(where)
    this.#assertNotRecording(where)
    const capture = new Capture<Block>()
    this.#capture = capture
    try {
      const result: unknown = work()
      if (typeof (result as { then?: unknown } | undefined)?.then === 'function')
        throw new FoveaError('argument', where, 'work must not be asynchronous: only what it does at once is recorded')
      return new BackedRecording(this, this.#backend, capture)
    } catch (error) {
      if (!this.#disposed) capture.release()
      throw error
    } finally {
      this.#capture = null
    }
  }

  async prepare(kernel: Kernel): Promise<void> {
    this.#assertAlive('device.prepare')
    await this.#backend.prepare('device.prepare', kernel)
  }

  async sync(): Promise<void> {
    this.#assertAlive('device.sync')
    await this.#backend.sync('device.sync')
  }

  async time(work: () => void | Promise<void>): Promise<DeviceTime> {
    this.#assertAlive('device.time')
    this.#assertNotRecording('device.time')
    return await this.#backend.time(work)
  }

  dispose(): void {
    if (this.#disposed) return
    this.#disposed = true
    this.#allocated = 0
    this.#backend.dispose()
  }

  #allocate(where: string, shape: readonly number[], dtype: StorageDType, zero: boolean): BackedTensor<Block> {
    this.#assertAlive(where)
    checkDType(where, dtype)
    const capacity = elementCount(where, shape)
    const block = this.#backend.allocate(where, Math.max(4, capacity * storageBytes[dtype]), zero)
    this.#allocated += block.byteLength
    this.#peak = Math.max(this.#peak, this.#allocated)
    const release = () => {
      this.#allocated -= block.byteLength
      this.#backend.free(block)
    }
    const memory: SharedBlock<Block> = { block, capacity, holders: 0, version: 0, release }
    return new BackedTensor(this, this.#backend, memory, { dtype, shape, strides: contiguousStrides(shape), offset: 0 })
  }

  #assertAlive(where: string): void {
    if (this.#disposed) throw new FoveaError('disposed', where, `the ${this.kind} device was disposed`)
    this.#backend.assertUsable(where)
  }

  #assertNotRecording(where: string): void {
    if (this.#capture)
      throw new FoveaError('argument', where, 'called inside the work of device.record, which holds kernels only')
  }
}

const bufferFields: FieldsOf<BufferSpec> = { shape: true, dtype: true, strides: true, offset: true }
