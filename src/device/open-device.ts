import { FoveaError } from '../ir/error.ts'
import { BackedDevice } from './backed-device.ts'
import type { Device } from './device.ts'
import type { DeviceKind } from './device-info.ts'
import type { DeviceOptions } from './device-options.ts'
import { interpretBackend } from './interpret-backend.ts'

/**
 * Opens a device. With no choice named: WebGPU when there is a GPU adapter (a software one does not count), else
 * WebAssembly. A named one is opened or refused.
 *
 * Throws `device` when `webgpu` is named and there is no adapter, `unsupported` for a tier or an instruction set that is
 * not there, `argument` for a choice that does not exist.
 */
export async function openDevice(choice?: DeviceKind, options: DeviceOptions = {}): Promise<Device> {
  switch (choice) {
    case 'interpret':
      return new BackedDevice(interpretBackend(options.interpret))
    default:
      throw new FoveaError(
        'argument',
        'openDevice',
        `the choices are webgpu, wasm and interpret, got ${String(choice)}`,
      )
  }
}
