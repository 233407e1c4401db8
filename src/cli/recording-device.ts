import { BackedDevice } from '../device/backed-device.ts'
import type { Backend, BoundArgument, MemoryBlock } from '../device/backend.ts'
import type { Device } from '../device/device.ts'
import type { DeviceInfo, DeviceKind, WebgpuTier } from '../device/device-info.ts'
import { idleBackend } from '../device/idle-backend.ts'
import { FoveaError } from '../ir/error.ts'
import type { Program } from '../ir/schedule.ts'
import { typicalCapabilities } from './typical-capabilities.ts'

/** A kernel that a call enqueued. */
export interface RecordedKernel {
  readonly program: Program
  readonly grid: readonly [number, number, number]
  readonly args: readonly BoundArgument<MemoryBlock>[]
}

/** What a device is taken for: tile sizes and forms of algorithms depend on it. */
export interface RecordedAs {
  readonly kind: DeviceKind
  readonly tier: WebgpuTier | null
  readonly limits: Readonly<Record<string, number>>
}

/** A WebGPU device of a tier as they are found, or WebAssembly. */
export function recordedAs(kind: DeviceKind, tier: WebgpuTier): RecordedAs {
  if (kind !== 'webgpu') return { kind, tier: null, limits: {} }
  const { maxWorkgroupBytes, maxInvocations } = typicalCapabilities[tier]
  const limits = {
    maxComputeWorkgroupStorageSize: maxWorkgroupBytes,
    maxComputeInvocationsPerWorkgroup: maxInvocations,
  }
  return { kind, tier, limits }
}

/**
 * A device that runs nothing and holds nothing: it counts what would be allocated and keeps the kernels that would run.
 * A call on it is the call a user makes, so what is printed of it is what a device gets.
 */
export function recordingDevice({ kind, tier, limits }: RecordedAs): {
  device: Device
  kernels: readonly RecordedKernel[]
} {
  const kernels: RecordedKernel[] = []
  const info: DeviceInfo = {
    name: 'recording only',
    tier,
    threads: kind === 'wasm' ? 1 : null,
    simd: kind === 'wasm' ? 'relaxed-simd' : null,
    limits,
    features: [],
    notes: [],
  }
  const backend: Backend<MemoryBlock> = {
    ...idleBackend({ kind, info }),
    read: async (where) => {
      throw new FoveaError('unsupported', where, 'this device records calls and holds no data')
    },
    run: (_where, call) => void kernels.push(call),
    record: (_where, calls) => ({
      run: () => void kernels.push(...calls),
      prepare: async () => {},
      dispose: () => {},
    }),
  }
  return { device: new BackedDevice(backend), kernels }
}
