import { createRequire } from 'node:module'
import { pathToFileURL } from 'node:url'
import { FoveaError } from '../ir/error.ts'
import type { WebgpuOptions } from './device-options.ts'
import { messageOf } from './fault.ts'
import { askQuietly, probeWebgpu, type WebgpuProbe } from './probe-webgpu.ts'
import { findVulkanDrivers, gpuDeviceFile, nvidiaDeviceFile } from './vulkan-drivers.ts'

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
 * An adapter of the platform's WebGPU: `navigator.gpu` in Deno, the optional package `webgpu` in Node, with the toggles and
 * the backend of `options`. With `realOnly` it may be known without asking that there is no GPU.
 *
 * On Linux, Vulkan's loader, drivers and Dawn write to the standard error when there is no adapter. So a process of its own
 * is asked first, and nothing is loaded here when it finds none. Where NVIDIA's driver is present that is not done: it
 * takes long to start, and is there to be used.
 *
 * Throws `device` when there is no adapter, or no WebGPU, naming what to install; what was written is the error's cause.
 */
export async function findAdapter(where: string, options: WebgpuOptions, realOnly: boolean): Promise<GPUAdapter> {
  const request = { powerPreference: options.powerPreference ?? ('high-performance' as const) }
  const none = (lines: readonly string[]) =>
    new FoveaError('device', where, 'there is no WebGPU adapter on this machine: `fovea devices` says why', {
      cause: new Error(lines.join('\n')),
    })
  const usesVulkan = process.platform === 'linux' && (options.backend ?? 'vulkan') === 'vulkan' && !builtInWebgpu()
  let ask = <T>(work: () => T): T => work()
  if (usesVulkan && !choosesNvidia()) {
    if (realOnly && surelyNoGpu()) throw none(['no driver of a GPU'])
    const probe = onlySwiftShader() ? { adapter: 'SwiftShader' } : await probeOnce(where, options, request)
    if (probe && 'lines' in probe && probe.adapter === null) throw none(probe.lines)
    ask = (work) => askQuietly(probe?.adapter ?? '', work)
  }
  const gpu = await findWebgpu(where, options)
  try {
    const adapter = await ask(() => gpu.requestAdapter(request))
    if (adapter) return adapter
  } catch (cause) {
    // Dawn in Node throws where browsers give null
    throw none([messageOf(cause)])
  }
  throw none([])
}

/** The platform's WebGPU itself. Throws `device` when there is none, naming what to install. */
export async function findWebgpu(where: string, options: WebgpuOptions): Promise<GPU> {
  const builtIn = builtInWebgpu()
  if (builtIn) return builtIn
  const dawn = await importDawn(where)
  const flags = flagsOf(options)
  const owners = gpuOwners()
  const key = flags.join(' ')
  const gpu = owners.get(key) ?? dawn.create([...flags])
  owners.set(key, gpu)
  return gpu
}

/** What a process of its own finds and hears; null where none can be asked. Throws `device` without the package `webgpu`. */
export function probePlatform(
  where: string,
  options: WebgpuOptions,
  request: GPURequestAdapterOptions,
): Promise<WebgpuProbe | null> {
  return probeWebgpu(dawnEntry(where), flagsOf(options), request)
}

/** One process for each choice of flags and drivers: while this process lives, Dawn does not look again either. */
function probeOnce(where: string, options: WebgpuOptions, request: GPURequestAdapterOptions) {
  const probes = kept<Promise<WebgpuProbe | null>>('fovea.webgpu.probes')
  const variables = Object.entries(process.env).filter(([name]) => /^(VK_|XDG_|MESA_|LD_)/.test(name))
  const key = JSON.stringify([flagsOf(options), request, variables])
  const probe = probes.get(key) ?? probePlatform(where, options, request)
  probes.set(key, probe)
  return probe
}

/** NVIDIA's own driver is there, and no other one is chosen. */
function choosesNvidia(): boolean {
  if (nvidiaDeviceFile() === null) return false
  const { chosenBy, drivers } = findVulkanDrivers()
  return chosenBy === null || drivers.some(({ lacks }) => lacks === null)
}

/**
 * Every driver that is installed computes on the CPU, or needs a device file that is not there; nor is there a device file of
 * a GPU, should the loader search where we do not.
 */
function surelyNoGpu(): boolean {
  const { chosenBy, drivers } = findVulkanDrivers()
  const none = drivers.every(({ lacks }) => lacks !== null)
  return none && (gpuDeviceFile() === null || chosenBy === 'VK_DRIVER_FILES' || chosenBy === 'VK_ICD_FILENAMES')
}

/** SwiftShader is chosen, as for tests, and there: nothing needs to be asked of it. */
function onlySwiftShader(): boolean {
  const { chosenBy, drivers } = findVulkanDrivers()
  const all = drivers.every(
    ({ manifest, missing }) => missing === null && manifest.endsWith('/vk_swiftshader_icd.json'),
  )
  return all && drivers.length > 0 && chosenBy !== null && chosenBy !== 'VK_ADD_DRIVER_FILES'
}

function builtInWebgpu(): GPU | undefined {
  return (globalThis as { navigator?: { gpu?: GPU } }).navigator?.gpu
}

/** The options of Dawn's `create`. */
function flagsOf(options: WebgpuOptions): readonly string[] {
  const toggles = Object.entries({ ...defaultToggles, ...options.toggles })
  const named = (wanted: boolean) => toggles.filter(([, enabled]) => enabled === wanted).map(([name]) => name)
  const flags = [`enable-dawn-features=${named(true).join(',')}`, `disable-dawn-features=${named(false).join(',')}`]
  if (options.backend !== undefined) flags.push(`backend=${options.backend}`)
  return flags.filter((flag) => !flag.endsWith('='))
}

// a name that bundlers do not follow: the package is optional
const dawnName: string = 'webgpu'

async function importDawn(where: string): Promise<typeof import('webgpu')> {
  try {
    return (await import(dawnName)) as typeof import('webgpu')
  } catch (cause) {
    throw noPackage(where, cause)
  }
}

/** The URL of the package, for a process that would look for it from another folder. */
function dawnEntry(where: string): string {
  try {
    return pathToFileURL(createRequire(import.meta.url).resolve(dawnName)).href
  } catch (cause) {
    throw noPackage(where, cause)
  }
}

function noPackage(where: string, cause: unknown): FoveaError {
  return new FoveaError('device', where, 'WebGPU in Node needs the package "webgpu": npm install webgpu', { cause })
}

/**
 * The objects that own a GPU, one for each choice of toggles. Dawn aborts the process when one is collected while
 * anything made from it lives, if only until the next garbage collection, so they stay reachable from the global object.
 * That alone does not keep Node running.
 */
function gpuOwners(): Map<string, GPU> {
  return kept('fovea.webgpu')
}

function kept<T>(name: string): Map<string, T> {
  const key = Symbol.for(name)
  const home = globalThis as { [key]?: Map<string, T> }
  home[key] ??= new Map()
  return home[key]
}
