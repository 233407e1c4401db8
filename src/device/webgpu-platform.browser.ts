import { FoveaError } from '../ir/error.ts'
import type * as node from './webgpu-platform.ts'

export const findWebgpu: typeof node.findWebgpu = async (where) => {
  const { gpu } = navigator as { gpu?: GPU }
  if (gpu) return gpu
  throw new FoveaError('device', where, 'this browser has no WebGPU (navigator.gpu)')
}
