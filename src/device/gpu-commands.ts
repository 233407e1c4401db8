import type { GpuFaults } from './gpu-faults.ts'
import { bufferUsage, type GpuBlock } from './gpu-memory.ts'

/** dispatches in one command buffer: few enough that the GPU is not left waiting, many enough that submitting costs little */
const dispatchesPerSubmit = 32
/** a recording that would bring a command buffer beyond this begins another */
const dispatchesPerBuffer = 256
const argumentBytes = 64 * 1024
const maxTimedPasses = 64

/** One kernel to record. */
export interface Dispatch {
  readonly name: string
  readonly pipeline: GPUComputePipeline
  readonly layout: GPUBindGroupLayout
  readonly buffers: readonly { readonly binding: number; readonly block: GpuBlock }[]
  readonly argsBinding: number
  readonly args: ArrayBuffer
  readonly grid: readonly [number, number, number]
}

/** A kernel with everything bound, ready for a pass. */
export interface BoundDispatch {
  readonly pipeline: GPUComputePipeline
  readonly group: GPUBindGroup
  readonly grid: readonly [number, number, number]
}

/** Kernels that are enqueued together, again and again. */
export interface Replay {
  readonly names: ReadonlySet<string>
  readonly blocks: ReadonlySet<GpuBlock>
}

/** Records kernels into few command buffers, keeping the order of everything enqueued. */
export class GpuCommands {
  readonly #device: GPUDevice
  readonly #faults: GpuFaults
  readonly #argumentStep: number
  readonly #arguments: GPUBuffer
  readonly #staged = new Uint8Array(argumentBytes)
  #stagedBytes = 0
  #encoder: GPUCommandEncoder | null = null
  #pass: GPUComputePassEncoder | null = null
  #dispatches = 0
  readonly #names = new Set<string>()
  readonly #used = new Set<GpuBlock>()
  readonly #replayed = new Set<Replay>()
  #whenSubmitted: (() => void)[] = []
  #timing: { readonly queries: GPUQuerySet; passes: number } | null = null

  constructor(device: GPUDevice, faults: GpuFaults) {
    this.#device = device
    this.#faults = faults
    this.#argumentStep = device.limits.minUniformBufferOffsetAlignment
    this.#arguments = device.createBuffer({ size: argumentBytes, usage: bufferUsage.uniform | bufferUsage.copyTarget })
  }

  dispatch(work: Dispatch): void {
    const bytes = Math.ceil(work.args.byteLength / this.#argumentStep) * this.#argumentStep
    if (this.#stagedBytes + bytes > argumentBytes || (!this.#timing && this.#dispatches >= dispatchesPerSubmit))
      this.submit()
    this.#staged.set(new Uint8Array(work.args), this.#stagedBytes)
    const args = { buffer: this.#arguments, offset: this.#stagedBytes, size: work.args.byteLength }
    this.#stagedBytes += bytes
    const entries: GPUBindGroupEntry[] = work.buffers.map(({ binding, block }) => ({
      binding,
      resource: { buffer: block.buffer },
    }))
    entries.push({ binding: work.argsBinding, resource: args })
    const group = this.#faults.watch(
      ['validation'],
      () => this.#device.createBindGroup({ layout: work.layout, entries }),
      (message) => ({ code: 'device', message: `${work.name} could not be enqueued: ${message}` }),
    )
    const pass = this.#openPass()
    pass.setPipeline(work.pipeline)
    pass.setBindGroup(0, group)
    pass.dispatchWorkgroups(...work.grid)
    this.#names.add(work.name)
    for (const { block } of work.buffers) this.#used.add(block)
    this.#dispatches++
  }

  /** Records kernels that are bound already; they are submitted at once unless they are few. */
  replay(work: Replay, dispatches: readonly BoundDispatch[]): void {
    if (!this.#timing && this.#dispatches + dispatches.length > dispatchesPerBuffer) this.submit()
    const pass = this.#openPass()
    let last: GPUComputePipeline | null = null
    for (const { pipeline, group, grid } of dispatches) {
      if (pipeline !== last) pass.setPipeline(pipeline)
      last = pipeline
      pass.setBindGroup(0, group)
      pass.dispatchWorkgroups(grid[0], grid[1], grid[2])
    }
    this.#dispatches += dispatches.length
    this.#replayed.add(work)
    if (!this.#timing && this.#dispatches >= dispatchesPerSubmit) this.submit()
  }

  /** Is it used by commands that are not yet submitted? */
  replays(work: Replay): boolean {
    return this.#replayed.has(work)
  }

  clear(block: GpuBlock): void {
    this.#openEncoder().clearBuffer(block.buffer)
    this.#used.add(block)
  }

  copy(source: GpuBlock, sourceOffset: number, target: GPUBuffer, bytes: number): void {
    this.#openEncoder().copyBufferToBuffer(source.buffer, sourceOffset, target, 0, bytes)
  }

  /** Is a block used by commands that are not yet submitted? */
  uses(block: GpuBlock): boolean {
    if (this.#used.has(block)) return true
    for (const { blocks } of this.#replayed) if (blocks.has(block)) return true
    return false
  }

  /** Calls back when what has been recorded is on the queue. */
  afterSubmit(callback: () => void): void {
    this.#whenSubmitted.push(callback)
  }

  submit(): void {
    const encoder = this.#encoder
    if (!encoder) return
    this.#pass?.end()
    for (const { names } of this.#replayed) for (const name of names) this.#names.add(name)
    const names = [...this.#names].join(', ')
    this.#faults.watch(
      ['validation', 'out-of-memory', 'internal'],
      () => {
        const { queue } = this.#device
        if (this.#stagedBytes > 0) queue.writeBuffer(this.#arguments, 0, this.#staged, 0, this.#stagedBytes)
        queue.submit([encoder.finish()])
      },
      (message, filter) => ({
        code: filter === 'out-of-memory' ? 'memory' : 'device',
        message: `${names || 'a copy'} failed: ${message}`,
      }),
    )
    this.#encoder = null
    this.#pass = null
    this.#stagedBytes = 0
    this.#dispatches = 0
    this.#names.clear()
    this.#used.clear()
    this.#replayed.clear()
    const callbacks = this.#whenSubmitted
    this.#whenSubmitted = []
    for (const callback of callbacks) callback()
  }

  /** From here on, passes write when they begin and end. */
  beginTiming(): void {
    this.submit()
    this.#timing = { queries: this.#device.createQuerySet({ type: 'timestamp', count: 2 * maxTimedPasses }), passes: 0 }
  }

  /** Resolves the timestamps of the passes since `beginTiming` into `target` (16 bytes each); their number, −1 when there were too many. */
  endTiming(target: GPUBuffer): number {
    this.submit()
    const timing = this.#timing
    this.#timing = null
    if (!timing) return -1
    const { queries, passes } = timing
    if (passes > 0 && passes <= maxTimedPasses) {
      this.#openEncoder().resolveQuerySet(queries, 0, 2 * passes, target, 0)
      this.submit()
    }
    queries.destroy()
    return passes > maxTimedPasses ? -1 : passes
  }

  static readonly timingBytes = 16 * maxTimedPasses

  destroy(): void {
    this.#encoder = null
    this.#pass = null
    this.#whenSubmitted = []
    this.#arguments.destroy()
  }

  /** The encoder, outside any pass. */
  #openEncoder(): GPUCommandEncoder {
    this.#pass?.end()
    this.#pass = null
    this.#encoder ??= this.#device.createCommandEncoder()
    return this.#encoder
  }

  #openPass(): GPUComputePassEncoder {
    if (this.#pass) return this.#pass
    const encoder = this.#openEncoder()
    const timing = this.#timing
    const at = timing ? timing.passes++ : 0
    this.#pass = encoder.beginComputePass(
      timing && at < maxTimedPasses
        ? {
            timestampWrites: {
              querySet: timing.queries,
              beginningOfPassWriteIndex: 2 * at,
              endOfPassWriteIndex: 2 * at + 1,
            },
          }
        : {},
    )
    return this.#pass
  }
}
