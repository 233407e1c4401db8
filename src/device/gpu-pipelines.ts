import { FoveaError } from '../ir/error.ts'
import type { Program } from '../ir/schedule.ts'
import type { WgslCapabilities } from '../wgsl/capabilities.ts'
import { lowerProgram, type WgslKernel } from '../wgsl/lower-program.ts'
import { messageOf, underName } from './fault.ts'
import type { GpuFaults } from './gpu-faults.ts'
import { ProgramCache } from './program-cache.ts'

/** A program as a pipeline, and how its arguments bind. */
export interface CompiledKernel {
  readonly kernel: WgslKernel
  readonly layout: GPUBindGroupLayout
  readonly pipeline: GPUComputePipeline
}

/** The pipelines of a device, each compiled once. */
export class GpuPipelines {
  readonly #device: GPUDevice
  readonly #capabilities: WgslCapabilities
  readonly #faults: GpuFaults
  readonly #compiled = new ProgramCache<CompiledKernel>()
  readonly #lowered = new ProgramCache<WgslKernel>()
  readonly #pending = new ProgramCache<Promise<CompiledKernel>>()

  #failures = 0

  constructor(device: GPUDevice, capabilities: WgslCapabilities, faults: GpuFaults) {
    this.#device = device
    this.#capabilities = capabilities
    this.#faults = faults
  }

  /** pipelines of `get` that turned out not to compile: one that was got before may be among them */
  get failures(): number {
    return this.#failures
  }

  /** The program in WGSL. Throws what `lowerProgram` throws. */
  lower(where: string, program: Program): WgslKernel {
    const known = this.#compiled.get(program)?.kernel ?? this.#lowered.get(program)
    if (known) return known
    return this.#lowered.set(
      program,
      underName(where, program.name, () => lowerProgram(program, this.#capabilities)),
    )
  }

  /** The pipeline, compiled now when it has not been; what the compiler finds wrong is reported later. */
  get(where: string, program: Program): CompiledKernel {
    const known = this.#compiled.get(program)
    if (known) return known
    const kernel = this.lower(where, program)
    const made = this.#faults.watch(
      ['validation', 'internal'],
      () => {
        const { layout, descriptor } = this.#describe(kernel)
        return { kernel, layout, pipeline: this.#device.createComputePipeline(descriptor) }
      },
      (message) => {
        this.#compiled.delete(program)
        this.#failures++
        return { code: 'compile', message: `${program.name}: ${message}` }
      },
    )
    return this.#compiled.set(program, made)
  }

  /** Compiles without blocking. Throws `compile` with the compiler's messages. */
  async prepare(where: string, program: Program): Promise<void> {
    if (this.#compiled.get(program)) return
    const pending = this.#pending.get(program) ?? this.#pending.set(program, this.#compile(where, program))
    try {
      this.#compiled.set(program, await this.#faults.wait(where, pending))
    } catch (cause) {
      if (cause instanceof FoveaError) throw cause
      throw new FoveaError('compile', where, `${program.name}: ${messageOf(cause)}`, { cause })
    } finally {
      this.#pending.delete(program)
    }
  }

  async #compile(where: string, program: Program): Promise<CompiledKernel> {
    const kernel = this.lower(where, program)
    const pending = this.#faults.watch(
      ['validation'],
      () => {
        const { layout, descriptor } = this.#describe(kernel)
        return { layout, pipeline: this.#device.createComputePipelineAsync(descriptor) }
      },
      (message) => ({ code: 'compile', message: `${program.name}: ${message}` }),
    )
    return { kernel, layout: pending.layout, pipeline: await pending.pipeline }
  }

  #describe(kernel: WgslKernel): { layout: GPUBindGroupLayout; descriptor: GPUComputePipelineDescriptor } {
    // the number of GPUShaderStage.COMPUTE, which Node has no global for
    const visibility = 4
    const entries: GPUBindGroupLayoutEntry[] = kernel.bindings.map(({ binding, access }) => ({
      binding,
      visibility,
      buffer: { type: access === 'read' ? 'read-only-storage' : 'storage' },
    }))
    entries.push({ binding: kernel.argsBinding, visibility, buffer: { type: 'uniform' } })
    const layout = this.#device.createBindGroupLayout({ entries })
    const module = this.#device.createShaderModule({ code: kernel.code })
    const descriptor = {
      layout: this.#device.createPipelineLayout({ bindGroupLayouts: [layout] }),
      compute: { module, entryPoint: kernel.entryPoint },
    }
    return { layout, descriptor }
  }
}
