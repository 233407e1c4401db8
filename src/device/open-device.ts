import { FoveaError } from '../ir/error.ts'
import { BackedDevice } from './backed-device.ts'
import type { Device } from './device.ts'
import type { DeviceKind } from './device-info.ts'
import type { DeviceOptions } from './device-options.ts'
import { interpretBackend } from './interpret-backend.ts'
import { openWasm, openWebgpu } from './load-backend.ts'

/**
 * Opens a device. With no choice named: WebGPU when there is a GPU adapter (a software one does not count), else
 * WebAssembly. A named one is opened or refused.
 *
 * Throws `device` when `webgpu` is named and there is no adapter, `unsupported` for a tier or an instruction set that is
 * not there, `argument` for a choice that does not exist.
 */
export async function openDevice(choice?: DeviceKind, options: DeviceOptions = {}): Promise<Device> {
  const where = 'openDevice'
  switch (choice) {
    case 'interpret':
      return new BackedDevice(interpretBackend(options.interpret))
    case 'webgpu':
      return new BackedDevice(await openWebgpu(where, options.webgpu ?? {}, false))
    case 'wasm':
      return new BackedDevice(await openWasm(where, options.wasm ?? {}))
    case undefined:
      break
    default:
      throw new FoveaError('argument', where, `the choices are webgpu, wasm and interpret, got ${String(choice)}`)
  }
  try {
    return new BackedDevice(await openWebgpu(where, options.webgpu ?? {}, true))
  } catch (error) {
    // no adapter is what WebAssembly is for; anything else is the caller's to know
    if (error instanceof FoveaError && error.code === 'device')
      return new BackedDevice(await openWasm(where, options.wasm ?? {}))
    throw error
  }
}
