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

/**
 * Opens the device that later calls run on; the one before is disposed. `tile` replaces the tile sizes of every algorithm:
 * a software GPU compiles a kernel of 16 × 16 tiles in half the time of one of 64 × 64.
 */
export async function open(kind: DeviceKind, options: DeviceOptions, tile: number | null): Promise<OpenedInPage> {
  home.device?.dispose()
  const device = await openDevice(kind, options)
  if (tile !== null) Object.assign(device, { tiling: () => ({ tileQ: tile, tileK: tile, padTo: tile }) })
  home.device = device
  const { name, tier, threads } = device.info
  return { name, tier, threads, isolated: crossOriginIsolated, processors: navigator.hardwareConcurrency }
}

/** What is wrong with recorded cases on the open device, by name; nothing, when all is well. Two run at a time. */
export async function goldenFaults(
  names: readonly string[],
  dtypes: readonly FloatDType[],
): Promise<Record<string, string[]>> {
  const { device } = home
  if (!device) throw new Error('goldenFaults: no device is open')
  const faults: Record<string, string[]> = {}
  const waiting = [...names]
  const work = async () => {
    for (let name = waiting.shift(); name !== undefined; name = waiting.shift()) {
      const input = goldenCase(name, await recorded(name))
      const found: string[] = []
      for (const dtype of dtypes)
        found.push(...(await attentionFaults(device, input, dtype).catch((error: unknown) => [String(error)])))
      faults[name] = found
    }
  }
  await Promise.all([work(), work()])
  return faults
}

async function recorded(name: string): Promise<Uint8Array> {
  const response = await fetch(`/test/golden/attention/${name}.safetensors`)
  if (!response.ok) throw new Error(`goldenFaults: ${name} was not served (${response.status})`)
  return new Uint8Array(await response.arrayBuffer())
}
