import type { ScalarParam, TensorParam } from '../ir/node.ts'
import type { Program } from '../ir/schedule.ts'
import type { TensorSpec } from '../ir/tensor-spec.ts'
import type { DeviceTime } from './device.ts'
import type { DeviceInfo, DeviceKind } from './device-info.ts'

/** A piece of a device's memory; `byteLength` is what it really takes. */
export interface MemoryBlock {
  readonly byteLength: number
}

/** An argument of a kernel, checked and in the order of the program's parameters. */
export type BoundArgument<Block> =
  | { readonly kind: 'tensor'; readonly param: TensorParam; readonly spec: TensorSpec; readonly block: Block }
  | { readonly kind: 'scalar'; readonly param: ScalarParam; readonly value: number }

/** A kernel with its arguments. */
export interface BackendCall<Block> {
  readonly program: Program
  readonly grid: readonly [number, number, number]
  readonly args: readonly BoundArgument<Block>[]
}

/** Calls that are enqueued together, again and again. */
export interface Recorded {
  run(where: string): void
  prepare(where: string): Promise<void>
  /** No run follows; those enqueued are still done. */
  dispose(): void
}

/**
 * What an adapter provides; `BackedDevice` makes a `Device` of it and checks every argument first. Each method throws
 * what can be known at once; `read` and `sync` reject with what earlier work reported since.
 */
export interface Backend<Block extends MemoryBlock> {
  readonly kind: DeviceKind
  readonly info: DeviceInfo
  /** bytes held for reuse, not counted in any block alive */
  readonly spareBytes: number

  /** Throws when the device was lost, or is otherwise beyond use; called first in every public method. */
  assertUsable(where: string): void
  /** At least `bytes` bytes; zeroed when `zero`, else undefined. Throws `limit` and `memory`. */
  allocate(where: string, bytes: number, zero: boolean): Block
  /** Throws the `limit` of `allocate`: what no tensor of this device can be. */
  checkSize(where: string, bytes: number): void
  free(block: Block): void
  /** In the order of the work enqueued. */
  write(where: string, block: Block, byteOffset: number, bytes: Uint8Array): void
  /** A copy of the bytes, which is the caller's. */
  read(where: string, block: Block, byteOffset: number, byteLength: number): Promise<Uint8Array>
  /** A block over memory of the caller's, where there can be such a thing. */
  adopt?(where: string, buffer: GPUBuffer): Block

  /** Throws what `check` throws whatever the blocks are; none of them need exist. */
  rehearse(where: string, call: BackendCall<MemoryBlock>): void
  /** Throws what `run` throws about the call. */
  check(where: string, call: BackendCall<Block>): void
  run(where: string, call: BackendCall<Block>): void
  /** The blocks stay allocated until the recording is disposed. Every call has passed `check`. */
  record(where: string, calls: readonly BackendCall<Block>[]): Recorded
  prepare(where: string, kernel: Pick<BackendCall<Block>, 'program' | 'grid'>): Promise<void>
  sync(where: string): Promise<void>
  time(work: () => void | Promise<void>): Promise<DeviceTime>
  dispose(): void
}
