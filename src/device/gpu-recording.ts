import { foldGrid } from '../wgsl/lower-program.ts'
import type { BackendCall, Recorded } from './backend.ts'
import type { BoundDispatch, GpuCommands } from './gpu-commands.ts'
import type { GpuFaults } from './gpu-faults.ts'
import { bufferUsage, type GpuBlock } from './gpu-memory.ts'
import type { CompiledKernel, GpuPipelines } from './gpu-pipelines.ts'

interface PackedCall {
  readonly call: BackendCall<GpuBlock>
  /** where its arguments lie in the recording's uniform buffer */
  readonly offset: number
  readonly size: number
}

/**
 * Calls of a recording: their arguments lie in one uniform buffer of its own, and pipelines and bind groups are made at the first
 * run or by `prepare`, so that a run only encodes.
 */
export class GpuRecording implements Recorded {
  readonly names: ReadonlySet<string>
  readonly blocks: ReadonlySet<GpuBlock>
  readonly #device: GPUDevice
  readonly #commands: GpuCommands
  readonly #pipelines: GpuPipelines
  readonly #faults: GpuFaults
  readonly #packed: readonly PackedCall[]
  readonly #arguments: GPUBuffer
  readonly #adopted: boolean
  #bound: readonly BoundDispatch[] | null = null
  /** `failures` of the pipelines when they were bound */
  #boundAt = 0

  constructor(
    where: string,
    calls: readonly BackendCall<GpuBlock>[],
    gpu: { device: GPUDevice; commands: GpuCommands; pipelines: GpuPipelines; faults: GpuFaults },
  ) {
    this.#device = gpu.device
    this.#commands = gpu.commands
    this.#pipelines = gpu.pipelines
    this.#faults = gpu.faults
    const step = gpu.device.limits.minUniformBufferOffsetAlignment
    const args = calls.map((call) => packCall(this.#pipelines, where, call))
    let bytes = 0
    this.#packed = calls.map((call, index) => {
      const size = (args[index] as ArrayBuffer).byteLength
      const offset = bytes
      bytes += Math.ceil(size / step) * step
      return { call, offset, size }
    })
    this.names = new Set(calls.map(({ program }) => program.name))
    const tensors = calls.flatMap((call) => call.args).filter((argument) => argument.kind === 'tensor')
    this.blocks = new Set(tensors.map(({ block }) => block))
    this.#adopted = tensors.some(({ block }) => block.adopted)
    const data = new Uint8Array(bytes)
    for (const [index, { offset }] of this.#packed.entries())
      data.set(new Uint8Array(args[index] as ArrayBuffer), offset)
    this.#arguments = this.#faults.watch(
      ['validation', 'out-of-memory'],
      () => {
        const buffer = this.#device.createBuffer({ size: bytes, usage: bufferUsage.uniform | bufferUsage.copyTarget })
        this.#device.queue.writeBuffer(buffer, 0, data)
        return buffer
      },
      (message, filter) => ({
        code: filter === 'out-of-memory' ? 'memory' : 'device',
        message: `the arguments of ${calls.length} kernels (${bytes} bytes): ${message}`,
      }),
    )
  }

  run(where: string): void {
    if (!this.#bound || this.#boundAt !== this.#pipelines.failures) this.#bind(where)
    this.#commands.replay(this, this.#bound as readonly BoundDispatch[])
    // the caller may use its buffers on the queue next, and expects our work to be there before
    if (this.#adopted) this.#commands.submit()
  }

  async prepare(where: string): Promise<void> {
    await Promise.all(this.#packed.map(({ call }) => this.#pipelines.prepare(where, call)))
  }

  dispose(): void {
    const destroy = () => this.#arguments.destroy()
    if (this.#commands.replays(this)) this.#commands.afterSubmit(destroy)
    else destroy()
  }

  #bind(where: string): void {
    const boundAt = this.#pipelines.failures
    const compiled = this.#packed.map(({ call }) => this.#pipelines.get(where, call))
    this.#bound = this.#faults.watch(
      ['validation'],
      () => this.#packed.map((packed, index) => this.#bindCall(packed, compiled[index] as CompiledKernel)),
      (message) => ({ code: 'device', message: `${[...this.names].join(', ')} could not be recorded: ${message}` }),
    )
    this.#boundAt = boundAt
  }

  #bindCall({ call, offset, size }: PackedCall, { kernel, layout, pipeline }: CompiledKernel): BoundDispatch {
    const blocks = new Map<string, GpuBlock>()
    for (const argument of call.args) if (argument.kind === 'tensor') blocks.set(argument.param.name, argument.block)
    const entries: GPUBindGroupEntry[] = kernel.bindings.map(({ param, binding }) => ({
      binding,
      resource: { buffer: (blocks.get(param.name) as GpuBlock).buffer },
    }))
    entries.push({ binding: kernel.argsBinding, resource: { buffer: this.#arguments, offset, size } })
    return {
      pipeline,
      group: this.#device.createBindGroup({ layout, entries }),
      grid: kernel.form === 'folded' ? foldGrid(call.grid) : call.grid,
    }
  }
}

/** The arguments of a call as its kernel reads them. */
export function packCall(pipelines: GpuPipelines, where: string, call: BackendCall<GpuBlock>): ArrayBuffer {
  const { args, grid } = call
  const tensors = args.filter((argument) => argument.kind === 'tensor')
  const scalars = args.filter((argument) => argument.kind === 'scalar')
  return pipelines.lower(where, call).packArguments(
    tensors.map(({ spec }) => spec),
    scalars.map(({ value }) => value),
    grid,
  )
}
