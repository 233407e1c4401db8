import { FoveaError } from '../ir/error.ts'
import type { WebgpuOptions } from './device-options.ts'

/**
 * Toggles of Dawn in Node: matrix units and f16 on NVIDIA, timestamps as the GPU gives them, workgroup memory as it is
 * (kernels write it before they read it; SwiftShader takes seconds to compile the clearing of 32 KiB), and no second check
 * of indices (kernels check their own; on an H200 the second one costs matrix kernels a fifth to a third of their speed).
 */
const defaultToggles: Readonly<Record<string, boolean>> = {
  allow_unsafe_apis: true,
  vulkan_enable_f16_on_nvidia: true,
  timestamp_quantization: false,
  disable_workgroup_init: true,
  disable_robustness: true,
}

/**
 * The platform's WebGPU: `navigator.gpu` in Deno, the optional package `webgpu` in Node, with the toggles and
 * the backend of `options`. Throws `device` when there is none, naming what to install.
 */
export async function findWebgpu(where: string, options: WebgpuOptions): Promise<GPU> {
  const builtIn = (globalThis as { navigator?: { gpu?: GPU } }).navigator?.gpu
  if (builtIn) return builtIn
  const dawn = await importDawn(where)
  const toggles = Object.entries({ ...defaultToggles, ...options.toggles })
  const named = (wanted: boolean) => toggles.filter(([, enabled]) => enabled === wanted).map(([name]) => name)
  const flags = [`enable-dawn-features=${named(true).join(',')}`, `disable-dawn-features=${named(false).join(',')}`]
  if (options.backend !== undefined) flags.push(`backend=${options.backend}`)
  const owners = gpuOwners()
  const key = flags.join(' ')
  const gpu = owners.get(key) ?? dawn.create(flags.filter((flag) => !flag.endsWith('=')))
  owners.set(key, gpu)
  return gpu
}

async function importDawn(where: string): Promise<typeof import('webgpu')> {
  // a name that bundlers do not follow: the package is optional
  const name: string = 'webgpu'
  try {
    return (await import(name)) as typeof import('webgpu')
  } catch (cause) {
    throw new FoveaError('device', where, 'WebGPU in Node needs the package "webgpu": npm install webgpu', { cause })
  }
}

/**
 * The objects that own a GPU, one for each choice of toggles. Dawn aborts the process when one is collected while
 * anything made from it lives, if only until the next garbage collection, so they stay reachable from the global object.
 * That alone does not keep Node running.
 */
function gpuOwners(): Map<string, GPU> {
  const key = Symbol.for('fovea.webgpu')
  const home = globalThis as { [key]?: Map<string, GPU> }
  home[key] ??= new Map()
  return home[key]
}
