import type { StorageDType } from '../ir/dtype.ts'
import type { TensorSpec } from '../ir/tensor-spec.ts'
import type { Kernel } from '../tile/kernel.ts'
import type { Operand, Value } from '../tile/value.ts'
import type { DeviceInfo, DeviceKind } from './device-info.ts'
import type { HostArray, TensorData } from './host-data.ts'
import type { Tiling, TilingRequest, TunedAlgorithm } from './tuning.ts'

/**
 * Where kernels run: a GPU through WebGPU, a pool of WebAssembly workers, or the interpreter. Made by `openDevice`.
 * Work is done in the order in which it was enqueued; `read` and `sync` wait for it. Whatever can be known when a method
 * is called is thrown by that call; what the device reports later (out of memory, a shader that does not compile, a lost
 * device) rejects the next `read` or `sync`, and never becomes an unhandled promise.
 */
export interface Device {
  readonly kind: DeviceKind
  readonly info: DeviceInfo
  readonly disposed: boolean
  readonly memory: DeviceMemory

  /**
   * A device like this one that holds nothing and runs nothing: it throws what this one would throw when it is called (limits
   * of tensors and kernels included), and its `memory` counts what would be allocated. What is read of its tensors is zeros;
   * kernels may bind tensors of this device as well.
   */
  rehearsal(): Device
  /** the device that this is a rehearsal of; null for devices themselves */
  readonly rehearses: Device | null

  /** Tile sizes of an algorithm that suit this device. */
  tiling(algorithm: TunedAlgorithm, request: TilingRequest): Tiling

  /**
   * A tensor [shape] filled from `data` in row-major order. The dtype defaults to that of the array (number[] and
   * Float64Array: f32; an ArrayBuffer and a Uint16Array need one named). Numbers are rounded to f16 and bf16, ties to
   * even; a Uint16Array holds their raw bits; an ArrayBuffer holds the elements as stored.
   *
   * Throws `shape` when the length is not the product of the shape, `dtype` for a dtype that the data cannot become,
   * `argument` for sizes that are no counts and integers out of range, `limit`, `memory`, `disposed`.
   */
  tensor(data: HostArray, shape: readonly number[], dtype?: StorageDType): Tensor
  /** A tensor with undefined contents; f32 unless a dtype is named. Throws `argument`, `dtype`, `limit`, `memory`, `disposed`. */
  empty(shape: readonly number[], dtype?: StorageDType): Tensor
  /** A tensor of zeros. */
  zeros(shape: readonly number[], dtype?: StorageDType): Tensor

  /**
   * WebGPU: a buffer of yours as a tensor, densely packed unless strides are given. It stays yours: `dispose` does not
   * destroy it. It needs usage STORAGE, and COPY_SRC to be read. Throws `argument`, `unsupported` on other devices.
   */
  fromBuffer(buffer: GPUBuffer, spec: BufferSpec): Tensor

  /**
   * Enqueues a kernel: `tensors` by the names of the program's parameters; captured tensors bind themselves, or what
   * `kernel.captured` names in their place. A grid with a
   * zero does nothing. No tensor written may share memory with another one bound.
   *
   * Throws `argument` (a binding missing, unknown or aliased), `shape`, `dtype`, `disposed`, `device` (a tensor of another
   * device), `limit` (a grid or a binding beyond the device), `compile`, `unsupported`.
   */
  run(kernel: Kernel, tensors: Readonly<Record<string, Tensor>>): void
  /** Compiles a kernel's program ahead of `run`, without blocking where the platform can. Rejects with `compile`. */
  prepare(kernel: Kernel): Promise<void>

  /**
   * The kernels that `work` runs, checked and bound as by `run` but not enqueued: `run` of the recording does that, as often
   * as wanted and at little cost to the host. What is in the tensors may change between runs; grids, scalars and bindings do
   * not. Tensors made inside `work` are filled when they are made. The memory of tensors bound is kept until the recording is
   * disposed, whether or not the tensors are.
   *
   * Throws what `run` throws, and `argument` for `tensor.read`, `tensor.write`, `time` and other recordings inside `work`, and
   * for `work` that returns a promise.
   */
  record(work: () => void): Recording
  /** true inside the `work` of `record` */
  readonly recording: boolean

  /** Resolves when all that was enqueued is done; rejects with the first error among it. */
  sync(): Promise<void>
  /** Time that the kernels enqueued by `work` take: on the device's own clock where it has one, else from enqueue to idle. */
  time(work: () => void | Promise<void>): Promise<DeviceTime>

  /** Frees everything, waits for nothing; again is harmless. Tensors of the device count as disposed. */
  dispose(): void
}

/** Kernels with their tensors bound, made by `Device.record`. */
export interface Recording {
  /** how many `run` enqueues; kernels with an empty grid are left out */
  readonly kernels: number
  readonly disposed: boolean
  /** Enqueues the kernels in their order. When one fails, what follows it in this run is not run. Throws `disposed`, `compile`, `argument` inside `record`. */
  run(): void
  /** Compiles what is not yet compiled ahead of `run`, without blocking where the platform can. Rejects with `compile`. */
  prepare(): Promise<void>
  /** Gives the tensors back once the runs enqueued are done; again is harmless. */
  dispose(): void
}

/** How a tensor lies in a buffer: offset and strides in elements. */
export interface BufferSpec {
  readonly shape: readonly number[]
  readonly dtype?: StorageDType
  readonly strides?: readonly number[]
  readonly offset?: number
}

/** Bytes of tensors alive now and at most so far; `reserved` adds what is held for reuse. */
export interface DeviceMemory {
  readonly allocated: number
  readonly peak: number
  readonly reserved: number
}

export interface DeviceTime {
  readonly nanoseconds: number
  /** `device`: time spent in kernels, by the device's timestamps; `wall`: elapsed time until the device was idle */
  readonly clock: 'device' | 'wall'
}

/**
 * A strided view of device memory: strides and offset in elements. Views share the memory of the tensor that they were
 * made from; it is freed when every one of them is disposed.
 */
export interface Tensor extends TensorSpec {
  readonly device: Device
  readonly disposed: boolean
  /** product of the shape */
  readonly size: number
  /** changes with every write, by the host or a kernel, to the memory; null for memory that others may change unseen */
  readonly version: number | null

  /** The elements in row-major order of the shape; f16 and bf16 widened to f32. Rejects with `disposed`, `device`, and errors of earlier kernels. */
  read(): Promise<TensorData>
  /** The elements in row-major order of the shape, as they are stored: `write` takes them back as an ArrayBuffer, or f16 and bf16 as a Uint16Array. Rejects like `read`. */
  readBytes(): Promise<Uint8Array>
  /** Replaces the elements, in row-major order of the shape: what `device.tensor` accepts, after the kernels enqueued so far. */
  write(data: HostArray): void

  /** Another look at the same memory. Throws `argument` when it would reach beyond it. */
  view(spec: {
    readonly shape: readonly number[]
    readonly strides?: readonly number[]
    readonly offset?: number
  }): Tensor
  /** Do both look at the same memory, at the same elements or others? */
  sharesMemory(other: Tensor): boolean
  /** Two dimensions exchanged. */
  transpose(dimA: number, dimB: number): Tensor
  /** Elements from … to−1 of a dimension. */
  slice(dim: number, from: number, to: number): Tensor
  /** The same elements in another shape; throws `shape` unless the tensor is contiguous and the sizes agree. */
  reshape(shape: readonly number[]): Tensor

  /**
   * For hooks: the symbolic value tensor[indices], one index (i32 value or number) per dimension. The tensor becomes a
   * captured argument of the kernel. An index out of range reads 0.
   */
  at(...indices: readonly Operand[]): Value

  /** Frees the memory when no other view holds it; again is harmless. */
  dispose(): void
}
