import { FoveaError } from '../ir/error.ts'
import type { WebgpuOptions } from './device-options.ts'

/** Where WebGPU comes from. `release` lets go of it; nothing made from `gpu` may be used afterwards. */
export interface WebgpuPlatform {
  readonly gpu: GPU
  /** made for us alone, so that we choose its toggles (Node) */
  readonly owned: boolean
  release(): void
}

/** toggles of Dawn in Node: matrix units and f16 on NVIDIA, and timestamps as the GPU gives them */
const defaultToggles: Readonly<Record<string, boolean>> = {
  allow_unsafe_apis: true,
  vulkan_enable_f16_on_nvidia: true,
  timestamp_quantization: false,
}

/**
 * The platform's WebGPU: `navigator.gpu` in browsers and Deno, the optional package `webgpu` in Node.
 * Throws `device` when there is none, naming what to install.
 */
export async function findWebgpu(where: string, options: WebgpuOptions): Promise<WebgpuPlatform> {
  const builtIn = (globalThis as { navigator?: { gpu?: GPU } }).navigator?.gpu
  if (builtIn) return { gpu: builtIn, owned: false, release: () => {} }
  const dawn = await importDawn(where)
  const toggles = Object.entries({ ...defaultToggles, ...options.toggles })
  const named = (wanted: boolean) => toggles.filter(([, enabled]) => enabled === wanted).map(([name]) => name)
  const flags = [`enable-dawn-features=${named(true).join(',')}`, `disable-dawn-features=${named(false).join(',')}`]
  if (options.backend !== undefined) flags.push(`backend=${options.backend}`)
  const gpu = dawn.create(flags.filter((flag) => !flag.endsWith('=')))
  const held = heldByDevices()
  held.add(gpu)
  return { gpu, owned: true, release: () => void held.delete(gpu) }
}

async function importDawn(where: string): Promise<typeof import('webgpu')> {
  if (typeof process === 'undefined' || !process.versions?.node)
    throw new FoveaError('device', where, 'this platform has no WebGPU (navigator.gpu)')
  // a name that bundlers do not follow: browsers have no use for the package
  const name: string = 'webgpu'
  try {
    return (await import(name)) as typeof import('webgpu')
  } catch (cause) {
    throw new FoveaError('device', where, 'WebGPU in Node needs the package "webgpu": npm install webgpu', { cause })
  }
}

/**
 * The objects that own a GPU. Dawn aborts the process when one is collected while anything made from it lives, so each is
 * reachable from the global object for as long as its device is open.
 */
function heldByDevices(): Set<GPU> {
  const key = Symbol.for('fovea.webgpu')
  const home = globalThis as { [key]?: Set<GPU> }
  home[key] ??= new Set()
  return home[key]
}
