import { readdirSync, readFileSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Device } from '../../src/device/index.ts'
import { devices } from '../numerics/devices.ts'
import { goldenCase } from './golden-case.ts'
import { attentionFaults } from './run-attention-case.ts'

const folder = new URL('../golden/attention/', import.meta.url)
const cases = readdirSync(folder).map((file) => {
  const name = file.replace('.safetensors', '')
  return { name, input: goldenCase(name, readFileSync(new URL(file, folder))) }
})

// a software GPU compiles small tiles in half the time: f32 runs on the tiles of the device, the other dtypes on these
const smallTiles = { tileQ: 16, tileK: 16, padTo: 16 }

// a device that does not open fails every test of its own
describe.each(Object.entries(devices))('recorded attention on %s', (_, open) => {
  let device: Device
  beforeAll(async () => {
    device = await open()
  })
  afterAll(() => device?.dispose())
  for (const dtype of ['f32', 'f16', 'bf16'] as const)
    test.each(cases)(`$name ${dtype}`, async ({ input }) => {
      expect(
        await attentionFaults(
          device,
          input,
          dtype,
          device.kind === 'webgpu' && dtype !== 'f32' ? smallTiles : undefined,
        ),
      ).toEqual([])
    })
})
