import { FoveaError } from '../ir/error.ts'
import type * as node from './webgpu-platform.ts'

export const findWebgpu: typeof node.findWebgpu = async (where) => {
  const { gpu } = navigator as { gpu?: GPU }
  if (gpu) return gpu
  throw new FoveaError('device', where, 'this browser has no WebGPU (navigator.gpu)')
}

export const findAdapter: typeof node.findAdapter = async (where, options) => {
  const gpu = await findWebgpu(where, options)
  let cause: unknown
  const request = { powerPreference: options.powerPreference ?? ('high-performance' as const) }
  const adapter = await gpu.requestAdapter(request).catch((error: unknown) => {
    cause = error
    return null
  })
  if (adapter) return adapter
  throw new FoveaError('device', where, 'there is no WebGPU adapter on this machine', { cause })
}

export const probePlatform: typeof node.probePlatform = async () => null
