import { FoveaError } from '../ir/error.ts'
import { foldGrid } from '../wgsl/lower-program.ts'
import type { Backend, BackendCall, MemoryBlock, Recorded } from './backend.ts'
import type { DeviceTime } from './device.ts'
import { messageOf } from './fault.ts'
import { GpuCommands } from './gpu-commands.ts'
import { GpuFaults } from './gpu-faults.ts'
import { bufferUsage, type GpuBlock, GpuMemory } from './gpu-memory.ts'
import { GpuPipelines, type GridCall } from './gpu-pipelines.ts'
import { GpuRecording, packCall } from './gpu-recording.ts'
import { GpuStaging } from './gpu-staging.ts'
import { lastIndex } from './tensor-layout.ts'
import type { OpenedGpu } from './webgpu-adapter.ts'

/** writes up to this long are not watched: that costs more than they do */
const unwatchedBytes = 65536

/** A GPU as a device: one command encoder that is submitted when somebody waits, or when it holds enough. */
export class WebgpuBackend implements Backend<GpuBlock> {
  readonly kind = 'webgpu'
  readonly info: OpenedGpu['info']
  readonly #gpu: OpenedGpu
  readonly #device: GPUDevice
  readonly #faults: GpuFaults
  readonly #memory: GpuMemory
  readonly #commands: GpuCommands
  readonly #pipelines: GpuPipelines
  readonly #staging: GpuStaging

  constructor(gpu: OpenedGpu) {
    this.info = gpu.info
    this.#gpu = gpu
    this.#device = gpu.device
    this.#faults = new GpuFaults(gpu.device)
    this.#memory = new GpuMemory(gpu.device, this.#faults)
    this.#commands = new GpuCommands(gpu.device, this.#faults)
    this.#pipelines = new GpuPipelines(gpu.device, gpu.capabilities, this.#faults)
    this.#staging = new GpuStaging(gpu.device, this.#faults)
  }

  get spareBytes(): number {
    return this.#memory.spareBytes + this.#staging.spareBytes
  }

  assertUsable(where: string): void {
    this.#faults.assertUsable(where)
  }

  allocate(where: string, bytes: number, zero: boolean): GpuBlock {
    const { block, fresh } = this.#memory.allocate(where, bytes)
    if (zero && !fresh) this.#commands.clear(block)
    return block
  }

  checkSize(where: string, bytes: number): void {
    this.#memory.checkSize(where, bytes)
  }

  free(block: GpuBlock): void {
    if (this.#commands.uses(block)) this.#commands.afterSubmit(() => this.#memory.release(block))
    else this.#memory.release(block)
  }

  adopt(where: string, buffer: GPUBuffer): GpuBlock {
    const given = buffer as Partial<GPUBuffer> | null
    if (typeof given?.size !== 'number' || typeof given.usage !== 'number')
      throw new FoveaError('argument', where, `takes a GPUBuffer, got ${buffer === null ? 'null' : typeof buffer}`)
    if ((buffer.usage & bufferUsage.storage) === 0)
      throw new FoveaError('argument', where, `the buffer of ${buffer.size} bytes lacks usage STORAGE`)
    if (buffer.size > this.#device.limits.maxStorageBufferBindingSize)
      throw new FoveaError(
        'limit',
        where,
        `${buffer.size} bytes; this device binds ${this.#device.limits.maxStorageBufferBindingSize} (maxStorageBufferBindingSize)`,
      )
    return { buffer, byteLength: buffer.size, adopted: true }
  }

  write(where: string, block: GpuBlock, byteOffset: number, bytes: Uint8Array): void {
    const whole = Math.ceil(bytes.byteLength / 4) * 4
    // WebGPU writes words; behind the end of a whole tensor is padding
    const partial = whole !== bytes.byteLength && byteOffset !== 0
    if (byteOffset % 4 !== 0 || partial)
      throw new FoveaError(
        'unsupported',
        where,
        `WebGPU writes multiples of 4 bytes, got ${bytes.byteLength} at ${byteOffset}`,
      )
    if (this.#commands.uses(block)) this.#commands.submit()
    let words = bytes
    if (whole !== bytes.byteLength) {
      words = new Uint8Array(whole)
      words.set(bytes)
    }
    const send = () => this.#device.queue.writeBuffer(block.buffer, byteOffset, words as Uint8Array<ArrayBuffer>)
    // a small write to a buffer of ours can fail in no way that is not the loss of the device
    if (whole <= unwatchedBytes && !block.adopted) {
      send()
      return
    }
    this.#faults.watch(['validation', 'out-of-memory'], send, (filter, message) => ({
      code: filter === 'out-of-memory' ? 'memory' : 'device',
      message: `a write of ${whole} bytes failed: ${message}`,
    }))
  }

  async read(where: string, block: GpuBlock, byteOffset: number, byteLength: number): Promise<Uint8Array> {
    const from = byteOffset - (byteOffset % 4)
    const size = Math.ceil((byteOffset + byteLength - from) / 4) * 4
    const copied = this.#copyOut(where, (staging) => this.#commands.copy(block, from, staging, size), size)
    return (await copied).subarray(byteOffset - from, byteOffset - from + byteLength)
  }

  rehearse(where: string, call: BackendCall<MemoryBlock>): void {
    const { program, args } = call
    for (const argument of args) {
      if (argument.kind === 'scalar') continue
      const { param, spec } = argument
      if (lastIndex(spec) >= 2 ** 31)
        throw new FoveaError(
          'limit',
          where,
          `${program.name}: ${param.name} reaches element ${lastIndex(spec)}; kernels count to ${2 ** 31 - 1}`,
        )
    }
    this.#pipelines.lower(where, call)
  }

  check(where: string, call: BackendCall<GpuBlock>): void {
    const { program, args } = call
    for (const argument of args) {
      if (argument.kind === 'scalar') continue
      const { param, block } = argument
      // kernels see the elements of an aligned tensor as vectors, and a vector cut short by the end would read as 0
      if (block.adopted && param.alignment > 1 && block.byteLength % 16 !== 0)
        throw new FoveaError(
          'argument',
          where,
          `${program.name}: the buffer of ${param.name} must be a multiple of 16 bytes long, got ${block.byteLength}`,
        )
    }
    this.rehearse(where, call)
  }

  run(where: string, call: BackendCall<GpuBlock>): void {
    this.check(where, call)
    const { program, grid, args } = call
    const tensors = args.filter((argument) => argument.kind === 'tensor')
    const { kernel, layout, pipeline } = this.#pipelines.get(where, call)
    const blocks = new Map(tensors.map(({ param, block }) => [param.name, block]))
    this.#commands.dispatch({
      name: program.name,
      pipeline,
      layout,
      buffers: kernel.bindings.map(({ param, binding }) => ({ binding, block: blocks.get(param.name) as GpuBlock })),
      argsBinding: kernel.argsBinding,
      args: packCall(this.#pipelines, where, call),
      grid: kernel.form === 'folded' ? foldGrid(grid) : grid,
    })
    // the caller may use its buffer on the queue next, and expects our work to be there before
    if (tensors.some(({ block }) => block.adopted)) this.#commands.submit()
  }

  record(where: string, calls: readonly BackendCall<GpuBlock>[]): Recorded {
    const [device, commands, pipelines, faults] = [this.#device, this.#commands, this.#pipelines, this.#faults]
    return new GpuRecording(where, calls, { device, commands, pipelines, faults })
  }

  prepare(where: string, kernel: GridCall): Promise<void> {
    return this.#pipelines.prepare(where, kernel)
  }

  async sync(where: string): Promise<void> {
    this.#commands.submit()
    await this.#faults.wait(where, this.#device.queue.onSubmittedWorkDone())
  }

  async time(work: () => void | Promise<void>): Promise<DeviceTime> {
    const where = 'device.time'
    await this.sync(where)
    const start = performance.now()
    if (!this.#device.features.has('timestamp-query')) {
      await work()
      await this.sync(where)
      return { nanoseconds: (performance.now() - start) * 1e6, clock: 'wall' }
    }
    const size = GpuCommands.timingBytes
    const resolved = this.#device.createBuffer({ size, usage: bufferUsage.queryResolve | bufferUsage.copySource })
    this.#commands.beginTiming()
    let passes = -1
    let bytes: Uint8Array
    try {
      try {
        await work()
      } finally {
        passes = this.#commands.endTiming(resolved)
      }
      bytes = await this.read(where, { buffer: resolved, byteLength: size, adopted: true }, 0, size)
    } finally {
      resolved.destroy()
    }
    if (passes < 0) return { nanoseconds: (performance.now() - start) * 1e6, clock: 'wall' }
    const stamps = new BigUint64Array(bytes.slice().buffer, 0, 2 * passes)
    let nanoseconds = 0
    for (let i = 0; i < passes; i++) nanoseconds += Number((stamps[2 * i + 1] as bigint) - (stamps[2 * i] as bigint))
    return { nanoseconds, clock: 'device' }
  }

  dispose(): void {
    this.#faults.end({ code: 'disposed', message: 'the webgpu device was disposed' })
    this.#commands.destroy()
    this.#memory.destroy()
    this.#staging.destroy()
    if (this.#gpu.owned) this.#device.destroy()
  }

  /** Records a copy into a buffer that can be mapped, submits, and gives its bytes. */
  async #copyOut(where: string, record: (staging: GPUBuffer) => void, size: number): Promise<Uint8Array> {
    const staging = this.#staging.take(size)
    record(staging)
    this.#commands.submit()
    try {
      // the number of GPUMapMode.READ, which Node has no global for
      await this.#faults.wait(where, staging.mapAsync(1, 0, size))
      const bytes = new Uint8Array(staging.getMappedRange(0, size).slice(0))
      staging.unmap()
      this.#staging.give(staging)
      return bytes
    } catch (cause) {
      staging.destroy()
      if (cause instanceof FoveaError) throw cause
      throw new FoveaError('device', where, `reading ${size} bytes failed: ${messageOf(cause)}`, { cause })
    }
  }
}
