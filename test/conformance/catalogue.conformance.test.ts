import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { catalogue } from '../../src/attention/catalogue.ts'
import type { Device } from '../../src/device/index.ts'
import { devices } from '../numerics/devices.ts'
import { catalogueCase } from './catalogue-case.ts'
import { attentionFaults } from './run-attention-case.ts'

const seed = 1
// a software GPU takes seconds to compile each program: the recorded cases run there in every dtype, these in some
const dtypesOf = (device: string) =>
  device === 'webgpu T0'
    ? (['f32'] as const)
    : device === 'webgpu T1'
      ? (['f32', 'f16'] as const)
      : (['f32', 'f16', 'bf16'] as const)
const cases = catalogue.flatMap(({ name, cases }) =>
  cases.map((example) => ({ title: `${name}: ${example.name}`, example })),
)

// a device that does not open fails every test of its own
describe.each(Object.entries(devices))(`the catalogue, seed ${seed}, on %s`, (name, open) => {
  let device: Device
  beforeAll(async () => {
    device = await open()
  })
  afterAll(() => device?.dispose())
  for (const dtype of dtypesOf(name))
    test.each(cases)(`$title ${dtype}`, async ({ example }) => {
      expect(await attentionFaults(device, catalogueCase(example, seed), dtype)).toEqual([])
    })
})
