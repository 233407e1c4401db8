import { checkChoice } from '../ir/check-choice.ts'
import { checkFields, type FieldsOf } from '../ir/check-fields.ts'
import { FoveaError } from '../ir/error.ts'
import { BackedDevice } from './backed-device.ts'
import type { Device } from './device.ts'
import type { DeviceKind } from './device-info.ts'
import type { DeviceOptions, InterpretOptions, WasmOptions, WebgpuOptions } from './device-options.ts'
import { openInterpreter, openWasm, openWebgpu } from './load-backend.ts'

/**
 * Opens a device. With no choice named: WebGPU when there is a GPU adapter (a software one does not count), else
 * WebAssembly. A named one is opened or refused.
 *
 * Throws `device` when `webgpu` is named and there is no adapter, `unsupported` for a tier or an instruction set that is
 * not there, `argument` for a choice that does not exist, and options of unknown names.
 */
export async function openDevice(choice?: DeviceKind, options: DeviceOptions = {}): Promise<Device> {
  const where = 'openDevice'
  checkDeviceOptions(where, options)
  if (choice !== undefined) checkChoice(where, 'the device', choice, kinds)
  switch (choice) {
    case 'interpret':
      return new BackedDevice(await openInterpreter(options.interpret ?? {}))
    case 'webgpu':
      return new BackedDevice(await openWebgpu(where, options.webgpu ?? {}, false))
    case 'wasm':
      return new BackedDevice(await openWasm(where, options.wasm ?? {}))
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

const kinds: readonly DeviceKind[] = ['webgpu', 'wasm', 'interpret']

/** Options of every back end are checked, whichever is opened: what is misspelt for one is so on another machine as well. */
function checkDeviceOptions(where: string, options: DeviceOptions): void {
  checkFields(where, 'options', options, fields)
  const { webgpu, wasm, interpret } = options
  if (webgpu) {
    checkFields(where, 'webgpu', webgpu, webgpuFields)
    const { tier, powerPreference } = webgpu
    if (tier !== undefined && ![0, 1, 2, 3].includes(tier))
      throw new FoveaError('argument', where, `webgpu.tier must be one of 0, 1, 2, 3, got ${String(tier)}`)
    if (powerPreference !== undefined)
      checkChoice(where, 'webgpu.powerPreference', powerPreference, ['high-performance', 'low-power'])
  }
  if (wasm) checkFields(where, 'wasm', wasm, wasmFields)
  if (!interpret) return
  checkFields(where, 'interpret', interpret, interpretFields)
  if (interpret.precision !== undefined)
    checkChoice(where, 'interpret.precision', interpret.precision, ['float64', 'real'])
}

const fields: FieldsOf<DeviceOptions> = { webgpu: true, wasm: true, interpret: true }
const webgpuFields: FieldsOf<WebgpuOptions> = {
  device: true,
  adapter: true,
  tier: true,
  powerPreference: true,
  backend: true,
  toggles: true,
}
const wasmFields: FieldsOf<WasmOptions> = {
  threads: true,
  relaxed: true,
  wideVectors: true,
  maxBytes: true,
  workerUrl: true,
}
const interpretFields: FieldsOf<InterpretOptions> = { precision: true }
