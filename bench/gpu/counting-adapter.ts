import { findWebgpu } from '../../src/device/webgpu-platform.ts'

/** The machine's GPU adapter, its devices counting the pipelines that they compile. */
export interface CountingAdapter {
  readonly adapter: GPUAdapter
  /** pipelines compiled so far by every device of this adapter */
  readonly compiled: () => number
  /** the device opened last */
  readonly device: () => GPUDevice
}

/** Throws when there is no adapter. */
export async function countingAdapter(): Promise<CountingAdapter> {
  // what openDevice itself uses, with its toggles
  const gpu = await findWebgpu('bench', {})
  const requestAdapter = async () => {
    const found = await gpu.requestAdapter({ powerPreference: 'high-performance' })
    if (!found) throw new Error('bench: there is no WebGPU adapter')
    return found
  }
  const adapter = await requestAdapter()
  let compiled = 0
  let last: GPUDevice | undefined
  const counting = {
    features: adapter.features,
    limits: adapter.limits,
    info: adapter.info,
    async requestDevice(descriptor?: GPUDeviceDescriptor) {
      // an adapter gives one device
      const device = await (await requestAdapter()).requestDevice(descriptor)
      const [now, later] = [device.createComputePipeline.bind(device), device.createComputePipelineAsync.bind(device)]
      Object.assign(device, {
        createComputePipeline(each: GPUComputePipelineDescriptor) {
          compiled += 1
          return now(each)
        },
        createComputePipelineAsync(each: GPUComputePipelineDescriptor) {
          compiled += 1
          return later(each)
        },
      })
      last = device
      return device
    },
  }
  return {
    adapter: counting as unknown as GPUAdapter,
    compiled: () => compiled,
    device: () => {
      if (!last) throw new Error('bench: no device was opened')
      return last
    },
  }
}
