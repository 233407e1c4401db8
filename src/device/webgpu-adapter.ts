import { FoveaError } from '../ir/error.ts'
import type { SubgroupMatrixConfig, WgslCapabilities } from '../wgsl/capabilities.ts'
import type { DeviceInfo, WebgpuTier } from './device-info.ts'
import type { WebgpuOptions } from './device-options.ts'
import { messageOf } from './fault.ts'
import { findAdapter } from './webgpu-platform.ts'

/** A GPU device, and what kernels for it may use. */
export interface OpenedGpu {
  readonly device: GPUDevice
  readonly info: DeviceInfo
  readonly capabilities: WgslCapabilities
  /** made by us, so that dispose destroys it */
  readonly owned: boolean
}

const wanted = ['subgroups', 'shader-f16', 'chromium-experimental-subgroup-matrix', 'timestamp-query'] as const

/**
 * Opens the adapter's device with its real limits and the features that kernels use. With `realOnly` a software adapter
 * counts as none. Throws `device` when there is no adapter, `unsupported` for a tier above the adapter's.
 */
export async function openGpu(where: string, options: WebgpuOptions, realOnly = false): Promise<OpenedGpu> {
  if (options.device) {
    const { device } = options
    // browsers older than `adapterInfo` describe a device in no other way
    const info = device.adapterInfo ?? ({} as GPUAdapterInfo)
    return { ...describe(where, device, info, options), device, owned: false }
  }
  try {
    const adapter = options.adapter ?? (await findAdapter(where, options, realOnly))
    if (realOnly && isSoftware(adapter.info)) throw new FoveaError('device', where, `${nameOf(adapter.info)} is no GPU`)
    const device = await adapter.requestDevice({
      label: 'fovea',
      requiredFeatures: wanted.filter((name) => adapter.features.has(name)) as GPUFeatureName[],
      requiredLimits: allLimits(adapter.limits),
    })
    return { ...describe(where, device, adapter.info, options), device, owned: true }
  } catch (error) {
    if (error instanceof FoveaError) throw error
    throw new FoveaError('device', where, `the GPU adapter gave no device: ${messageOf(error)}`, { cause: error })
  }
}

function describe(where: string, device: GPUDevice, adapter: GPUAdapterInfo, options: WebgpuOptions) {
  const { features } = device
  const configs = (adapter as { subgroupMatrixConfigs?: readonly SubgroupMatrixConfig[] }).subgroupMatrixConfigs ?? []
  const best = bestTier(features, configs)
  const tier = options.tier ?? best
  if (tier > best) throw new FoveaError('unsupported', where, `${nameOf(adapter)} offers tier ${best}, not ${tier}`)
  const limits = Object.fromEntries(printedLimits.map((name) => [name, device.limits[name]]))
  const capabilities: WgslCapabilities = {
    tier,
    maxWorkgroupBytes: device.limits.maxComputeWorkgroupStorageSize,
    maxInvocations: Math.min(device.limits.maxComputeInvocationsPerWorkgroup, device.limits.maxComputeWorkgroupSizeX),
    maxStorageBuffers: device.limits.maxStorageBuffersPerShaderStage,
    // the range that WGSL allows where the adapter does not say
    subgroupMinSize: adapter.subgroupMinSize ?? 4,
    subgroupMaxSize: adapter.subgroupMaxSize ?? 128,
    subgroupMatrixConfigs: tier === 3 ? [...configs] : [],
    subgroupsInStep: adapter.vendor === 'nvidia',
  }
  const info: DeviceInfo = {
    name: nameOf(adapter),
    tier,
    threads: null,
    simd: null,
    limits: { ...limits, subgroupMinSize: capabilities.subgroupMinSize, subgroupMaxSize: capabilities.subgroupMaxSize },
    features: [...wanted.filter((name) => features.has(name)), ...capabilities.subgroupMatrixConfigs.map(showConfig)],
    notes: [],
  }
  return { info, capabilities }
}

function bestTier(features: ReadonlySet<string>, configs: readonly SubgroupMatrixConfig[]): WebgpuTier {
  if (!features.has('subgroups')) return 0
  if (!features.has('shader-f16')) return 1
  const matrices = features.has('chromium-experimental-subgroup-matrix')
  return matrices && configs.some((config) => config.componentType === 'f16' && config.resultComponentType === 'f32')
    ? 3
    : 2
}

function showConfig({ componentType, resultComponentType, M, N, K }: SubgroupMatrixConfig): string {
  return `${componentType}→${resultComponentType} ${M}×${N}×${K}`
}

/** Does the adapter compute on the CPU? */
function isSoftware(info: GPUAdapterInfo): boolean {
  const software = /swiftshader|llvmpipe|lavapipe|softpipe|basic render/i
  return (info.isFallbackAdapter ?? false) || software.test(`${info.architecture} ${info.device} ${info.description}`)
}

function nameOf(info: GPUAdapterInfo): string {
  const parts = [info.vendor, info.architecture, info.device, info.description]
  return parts.filter((part) => part).join(' ') || 'GPU adapter without a name'
}

/** the limits that bound a kernel or a tensor */
const printedLimits = [
  'maxBufferSize',
  'maxStorageBufferBindingSize',
  'maxStorageBuffersPerShaderStage',
  'maxComputeWorkgroupStorageSize',
  'maxComputeInvocationsPerWorkgroup',
  'maxComputeWorkgroupSizeX',
  'maxComputeWorkgroupsPerDimension',
] as const

/** Every limit that an adapter has, to be asked for. */
function allLimits(limits: GPUSupportedLimits): Record<string, number> {
  const numbers: Record<string, number> = {}
  // the limits are getters of the prototype
  for (const name in limits) {
    const value = (limits as unknown as Record<string, unknown>)[name]
    if (typeof value === 'number') numbers[name] = value
  }
  return numbers
}
