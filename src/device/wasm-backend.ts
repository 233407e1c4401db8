import { FoveaError } from '../ir/error.ts'
import type { Program } from '../ir/schedule.ts'
import { compileProgram, type WasmKernel } from '../wasm/compile-program.ts'
import { type KernelArgument, openPool, type PoolCall, type WasmPool } from '../wasm/pool.ts'
import type { Backend, BackendCall, BoundArgument, MemoryBlock, Recorded } from './backend.ts'
import type { DeviceTime } from './device.ts'
import type { DeviceInfo } from './device-info.ts'
import type { WasmOptions } from './device-options.ts'
import { restate, underName } from './fault.ts'
import { JobQueue } from './job-queue.ts'
import { ProgramCache } from './program-cache.ts'

/** A piece of the memory that the workers share. */
export interface WasmBlock extends MemoryBlock {
  readonly pointer: number
}

/** what 32-bit addresses reach, less a page */
const addressableBytes = 65535 * 65536

/** Opens the pool of workers. Throws `unsupported` where the engine lacks what was asked for, `argument`, `memory`. */
export async function openWasmBackend(where: string, options: WasmOptions): Promise<WasmBackend> {
  const { maxBytes = addressableBytes } = options
  if (!Number.isSafeInteger(maxBytes) || maxBytes < 2 ** 20)
    throw new FoveaError('argument', where, `wasm.maxBytes must be a whole number of bytes ≥ 1 MiB, got ${maxBytes}`)
  const pool = await openPool(options).catch((cause: unknown) => {
    throw restate(where, cause)
  })
  return new WasmBackend(pool, Math.min(maxBytes, addressableBytes))
}

/** A pool of WebAssembly workers as a device. */
export class WasmBackend implements Backend<WasmBlock> {
  readonly kind = 'wasm'
  readonly info: DeviceInfo
  readonly spareBytes = 0
  readonly #pool: WasmPool
  readonly #maxBytes: number
  readonly #kernels: ProgramCache<WasmKernel>
  readonly #queue: JobQueue

  constructor(pool: WasmPool, maxBytes: number) {
    this.#pool = pool
    this.#kernels = new ProgramCache((kernel) => pool.forget(kernel))
    this.#queue = new JobQueue(() => pool.poll())
    this.#maxBytes = maxBytes
    const shared = typeof SharedArrayBuffer === 'function' && pool.memory.buffer instanceof SharedArrayBuffer
    this.info = {
      name: `WebAssembly on ${pool.threads === 1 ? 'one thread' : `${pool.threads} threads`}`,
      tier: null,
      threads: pool.threads,
      simd: pool.relaxed ? 'relaxed-simd' : 'simd',
      limits: { maxBytes },
      features: shared ? ['shared-memory'] : [],
      notes: pool.notes,
    }
  }

  assertUsable(): void {}

  allocate(where: string, bytes: number, zero: boolean): WasmBlock {
    this.checkSize(where, bytes)
    const byteLength = Math.ceil(bytes / 64) * 64
    const pointer = underName(where, null, () => this.#pool.allocate(byteLength))
    if (zero) this.#bytes(pointer, byteLength).fill(0)
    return { pointer, byteLength }
  }

  checkSize(where: string, bytes: number): void {
    if (bytes > this.#maxBytes)
      throw new FoveaError('limit', where, `${bytes} bytes in one tensor; this device has ${this.#maxBytes} (maxBytes)`)
  }

  free({ pointer }: WasmBlock): void {
    this.#queue.after(() => this.#pool.free(pointer))
  }

  write(_where: string, { pointer }: WasmBlock, byteOffset: number, bytes: Uint8Array): void {
    // the caller may change its array before our turn comes
    const kept = this.#queue.idle ? bytes : bytes.slice()
    this.#queue.host(() => this.#bytes(pointer + byteOffset, kept.byteLength).set(kept))
  }

  async read(where: string, { pointer }: WasmBlock, byteOffset: number, byteLength: number): Promise<Uint8Array> {
    // its own memory: no text decoder or socket takes views of shared memory
    const copy = new Uint8Array(byteLength)
    this.#queue.host(() => copy.set(this.#bytes(pointer + byteOffset, byteLength)))
    await this.#queue.wait(where)
    return copy
  }

  rehearse(where: string, { program }: BackendCall<MemoryBlock>): void {
    this.#compile(where, program)
  }

  check(where: string, { program }: BackendCall<WasmBlock>): void {
    this.#compile(where, program)
  }

  run(where: string, call: BackendCall<WasmBlock>): void {
    const bound = this.#bind(where, call)
    underName(where, null, () => this.#queue.run((done) => this.#pool.enqueue(bound, done)))
  }

  record(where: string, calls: readonly BackendCall<WasmBlock>[]): Recorded {
    const bound = calls.map((call) => this.#bind(where, call))
    const recording = underName(where, null, () => this.#pool.record(bound))
    return {
      run: (name) => underName(name, null, () => this.#queue.run((done) => recording.enqueue(done))),
      prepare: async () => {},
      // runs that wait behind work of the host have not reached the pool
      dispose: () => this.#queue.after(() => recording.dispose()),
    }
  }

  async prepare(where: string, { program }: Pick<BackendCall<WasmBlock>, 'program'>): Promise<void> {
    this.#compile(where, program)
  }

  sync(where: string): Promise<void> {
    return this.#queue.wait(where)
  }

  async time(work: () => void | Promise<void>): Promise<DeviceTime> {
    await this.sync('device.time')
    const start = performance.now()
    await work()
    await this.sync('device.time')
    return { nanoseconds: (performance.now() - start) * 1e6, clock: 'wall' }
  }

  dispose(): void {
    this.#queue.end({ code: 'disposed', message: 'the wasm device was disposed' })
    this.#pool.dispose()
  }

  #compile(where: string, program: Program): WasmKernel {
    const known = this.#kernels.get(program)
    if (known) return known
    const { relaxed, wide } = this.#pool
    const kernel = underName(where, program.name, () => compileProgram(program, { relaxed, wide }))
    return this.#kernels.set(program, kernel)
  }

  #bind(where: string, { program, grid, args }: BackendCall<WasmBlock>): PoolCall {
    return { kernel: this.#compile(where, program), args: args.map(toKernelArgument), grid }
  }

  /** A view of the memory, made anew each time because growth replaces its buffer. */
  #bytes(pointer: number, byteLength: number): Uint8Array {
    return new Uint8Array(this.#pool.memory.buffer, pointer, byteLength)
  }
}

function toKernelArgument(argument: BoundArgument<WasmBlock>): KernelArgument {
  if (argument.kind === 'scalar') return { kind: 'scalar', value: argument.value }
  const { shape, strides, offset } = argument.spec
  return { kind: 'tensor', pointer: argument.block.pointer, shape, strides, offset }
}
