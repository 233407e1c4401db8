import { FoveaError } from '../ir/error.ts'
import type { Program } from '../ir/schedule.ts'
import type { WgslCapabilities } from '../wgsl/capabilities.ts'
import { type GridForm, gridForm, lowerProgram, type WgslKernel } from '../wgsl/lower-program.ts'
import { messageOf, underName } from './fault.ts'
import type { GpuFaults } from './gpu-faults.ts'
import { ProgramCache } from './program-cache.ts'

/** A program as a pipeline, and how its arguments bind. */
export interface CompiledKernel {
  readonly kernel: WgslKernel
  readonly layout: GPUBindGroupLayout
  readonly pipeline: GPUComputePipeline
}

/** What decides which pipeline a call takes: the program, and whether the device takes its grid as it is. */
export interface GridCall {
  readonly program: Program
  readonly grid: readonly [number, number, number]
}

/** What is known of programs in one form. */
interface FormCaches {
  readonly compiled: ProgramCache<CompiledKernel>
  readonly lowered: ProgramCache<WgslKernel>
  readonly pending: ProgramCache<Promise<CompiledKernel>>
}

/** The pipelines of a device, each compiled once. Programs that meet a grid beyond the device's axes are compiled for it as well. */
export class GpuPipelines {
  readonly #device: GPUDevice
  readonly #capabilities: WgslCapabilities
  readonly #faults: GpuFaults
  readonly #forms: Readonly<Record<GridForm, FormCaches>> = { plain: formCaches(), folded: formCaches() }

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
  lower(where: string, { program, grid }: GridCall): WgslKernel {
    const form = this.#formOf(grid)
    const { compiled, lowered } = this.#forms[form]
    const known = compiled.get(program)?.kernel ?? lowered.get(program)
    if (known) return known
    return lowered.set(
      program,
      underName(where, program.name, () => lowerProgram(program, this.#capabilities, {}, form)),
    )
  }

  /** The pipeline, compiled now when it has not been; what the compiler finds wrong is reported later. */
  get(where: string, call: GridCall): CompiledKernel {
    const { program } = call
    const { compiled } = this.#forms[this.#formOf(call.grid)]
    const known = compiled.get(program)
    if (known) return known
    const kernel = this.lower(where, call)
    const made = this.#faults.watch(
      ['validation', 'internal'],
      () => {
        const { layout, descriptor } = this.#describe(kernel)
        return { kernel, layout, pipeline: this.#device.createComputePipeline(descriptor) }
      },
      (message) => {
        compiled.delete(program)
        this.#failures++
        return { code: 'compile', message: `${program.name}: ${message}` }
      },
    )
    return compiled.set(program, made)
  }

  /** Compiles without blocking. Throws `compile` with the compiler's messages. */
  async prepare(where: string, call: GridCall): Promise<void> {
    const { program } = call
    const { compiled, pending } = this.#forms[this.#formOf(call.grid)]
    if (compiled.get(program)) return
    const compiling = pending.get(program) ?? pending.set(program, this.#compile(where, call))
    try {
      compiled.set(program, await this.#faults.wait(where, compiling))
    } catch (cause) {
      if (cause instanceof FoveaError) throw cause
      throw new FoveaError('compile', where, `${program.name}: ${messageOf(cause)}`, { cause })
    } finally {
      pending.delete(program)
    }
  }

  #formOf(grid: GridCall['grid']): GridForm {
    return gridForm(grid, this.#device.limits.maxComputeWorkgroupsPerDimension)
  }

  async #compile(where: string, call: GridCall): Promise<CompiledKernel> {
    const { program } = call
    const kernel = this.lower(where, call)
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

function formCaches(): FormCaches {
  return { compiled: new ProgramCache(), lowered: new ProgramCache(), pending: new ProgramCache() }
}
