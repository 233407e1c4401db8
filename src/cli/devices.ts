import { type DeviceInfo, type DeviceKind, describeDevice } from '../device/device-info.ts'
import type { DeviceOptions } from '../device/device-options.ts'
import { explainWebgpu } from '../device/explain-webgpu.ts'
import { openDevice } from '../device/index.ts'
import { FoveaError } from '../ir/error.ts'
import { type Command, parseCommand } from './command.ts'

/** A back end as found on this machine. */
type Found =
  | {
      readonly kind: DeviceKind
      readonly available: true
      readonly chosen: boolean
      readonly info: DeviceInfo
      readonly explanation: readonly string[]
    }
  | {
      readonly kind: DeviceKind
      readonly available: false
      readonly reason: string
      readonly explanation: readonly string[]
    }

export const devicesCommand: Command = {
  help: [
    'usage: fovea devices [--json]',
    '',
    'Lists every back end: the WebGPU adapters with their tier, limits and features, WebAssembly with its threads and',
    'SIMD level, the interpreter. `chosen` marks what openDevice() opens. On Linux it says which Vulkan drivers there are,',
    'who chose them, what they wrote, and, where WebGPU is missing, why and what to do.',
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
  const webgpu = await explainWebgpu()
  const look = async (kind: DeviceKind, options: DeviceOptions = {}): Promise<Found> => {
    const explanation = kind === 'webgpu' ? webgpu : []
    try {
      const device = await openDevice(kind, options)
      const { info } = device
      device.dispose()
      return { kind, available: true, chosen: isChosen(kind, info), info, explanation }
    } catch (error) {
      if (!(error instanceof FoveaError)) throw error
      // what to run for the reason is being run
      const [reason = ''] = error.message.split('\n')
      return { kind, available: false, reason: reason.replace(/: `fovea devices` .*/, ''), explanation }
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
  const explanation = found.explanation.map((line) => `\n  ${line}`).join('')
  if (!found.available) return `${found.kind}: not available\n  ${found.reason}${explanation}`
  const text = describeDevice(found.kind, found.info) + explanation
  return found.chosen ? text.replace('\n', '\n  chosen by openDevice()\n') : text
}
