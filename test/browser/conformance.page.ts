// Runs in the page: recorded cases on a device of the browser, from the sources.
import { type Device, type DeviceKind, type DeviceOptions, openDevice } from '../../src/device/index.ts'
import { goldenCase } from '../conformance/golden-case.ts'
import { attentionFaults, type FloatDType } from '../conformance/run-attention-case.ts'

export interface OpenedInPage {
  readonly name: string
  readonly tier: number | null
  readonly threads: number | null
  readonly isolated: boolean
  readonly processors: number
}

const home = globalThis as { device?: Device }

/** Opens the device that later calls run on; the one before is disposed. */
export async function open(kind: DeviceKind, options: DeviceOptions): Promise<OpenedInPage> {
  home.device?.dispose()
  home.device = await openDevice(kind, options)
  const { name, tier, threads } = home.device.info
  return { name, tier, threads, isolated: crossOriginIsolated, processors: navigator.hardwareConcurrency }
}

/** What is wrong with a recorded case on the open device; nothing, when all is well. */
export async function goldenFaults(name: string, dtype: FloatDType): Promise<string[]> {
  if (!home.device) throw new Error('goldenFaults: no device is open')
  const response = await fetch(`/test/golden/attention/${name}.safetensors`)
  if (!response.ok) throw new Error(`goldenFaults: ${name} was not served (${response.status})`)
  const bytes = new Uint8Array(await response.arrayBuffer())
  return await attentionFaults(home.device, goldenCase(name, bytes), dtype)
}
