import { type DeviceInfo, type DeviceKind, describeDevice } from '../device/device-info.ts'
import type { DeviceOptions } from '../device/device-options.ts'
import { openDevice } from '../device/index.ts'
import { FoveaError } from '../ir/error.ts'
import { type Command, parseCommand } from './command.ts'

/** A back end as found on this machine. */
type Found =
  | { readonly kind: DeviceKind; readonly available: true; readonly chosen: boolean; readonly info: DeviceInfo }
  | { readonly kind: DeviceKind; readonly available: false; readonly reason: string }

export const devicesCommand: Command = {
  help: [
    'usage: fovea devices [--json]',
    '',
    'Lists every back end: the WebGPU adapters with their tier, limits and features, WebAssembly with its threads and',
    'SIMD level, the interpreter. A missing one is listed with its reason. `chosen` marks what openDevice() opens.',
    '',
    '  --json   one JSON array',
  ].join('\n'),
  async run(args) {
    const { values } = parseCommand('devices', args, { json: { type: 'boolean', default: false } })
    const found = await findDevices()
    if (values.json) console.log(JSON.stringify(found, null, 2))
    else console.log(found.map(describe).join('\n\n'))
  },
}

async function findDevices(): Promise<Found[]> {
  const chosen = await openDevice()
  const isChosen = (kind: DeviceKind, info: DeviceInfo) => chosen.kind === kind && chosen.info.name === info.name
  const look = async (kind: DeviceKind, options: DeviceOptions = {}): Promise<Found> => {
    try {
      const device = await openDevice(kind, options)
      const { info } = device
      device.dispose()
      return { kind, available: true, chosen: isChosen(kind, info), info }
    } catch (error) {
      if (!(error instanceof FoveaError)) throw error
      return { kind, available: false, reason: error.message.split('\n')[0] ?? error.message }
    }
  }
  const found = [
    await look('webgpu', { webgpu: { powerPreference: 'high-performance' } }),
    await look('webgpu', { webgpu: { powerPreference: 'low-power' } }),
    await look('wasm'),
    await look('interpret'),
  ]
  chosen.dispose()
  // a machine with one adapter gives it for both preferences
  const seen = new Set<string>()
  return found.filter((each) => {
    const name = `${each.kind} ${each.available ? each.info.name : each.reason}`
    return !seen.has(name) && seen.add(name)
  })
}

function describe(found: Found): string {
  if (!found.available) return `${found.kind}: not available\n  ${found.reason}`
  const text = describeDevice(found.kind, found.info)
  return found.chosen ? text.replace('\n', '\n  chosen by openDevice()\n') : text
}
