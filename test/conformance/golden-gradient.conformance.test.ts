import { readdirSync, readFileSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { flashBackwardReference } from '../../src/attention/softmax/backward/flash-backward.reference.ts'
import type { Device } from '../../src/device/index.ts'
import { devices } from '../numerics/devices.ts'
import { relativeRms } from './closeness.ts'
import { goldenGradientCase } from './golden-gradient-case.ts'
import { gradientFaults } from './run-gradient-case.ts'

const folder = new URL('../golden/attention/', import.meta.url)
const cases = readdirSync(folder).map((file) => {
  const name = file.replace('.safetensors', '')
  return { name, input: goldenGradientCase(name, readFileSync(new URL(file, folder))) }
})

describe('the float64 reference gives the recorded gradients', () => {
  test.each(cases)('$name', ({ input }) => {
    const found = flashBackwardReference(input, input.dOutput)
    for (const [name, wanted] of Object.entries(input.goldenGradients ?? {}))
      expect(relativeRms(found[name as keyof typeof found], wanted).error, name).toBeLessThan(2e-7)
  })
})

// a software GPU takes a second to compile the kernels of small tiles, and several for larger ones
const smallTiles = { tileQ: 8, tileK: 8, padTo: 8 }
const dtypesOf = (device: string) =>
  device.startsWith('wasm') ? (['f32', 'f16', 'bf16'] as const) : (['f32'] as const)
// each of these compiles something that the others do not; the rest differ in numbers only, which tier 1 has seen
const onTier0 = [
  'causal-gqa',
  'empty-rows',
  'headdim-80',
  'relative-bias',
  'sinks-window',
  'softcap-20',
  'softpick-causal',
]

// a device that does not open fails every test of its own
describe.each(Object.entries(devices))('recorded gradients on %s', (deviceName, open) => {
  let device: Device
  beforeAll(async () => {
    device = await open()
  })
  afterAll(() => device?.dispose())
  const here = deviceName === 'webgpu T0' ? cases.filter(({ name }) => onTier0.includes(name)) : cases
  for (const dtype of dtypesOf(deviceName))
    test.each(here)(`$name ${dtype}`, async ({ input }) => {
      const tiling = device.kind === 'webgpu' ? smallTiles : undefined
      expect(await gradientFaults(device, input, dtype, tiling)).toEqual([])
    })
})
