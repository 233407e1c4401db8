import { beforeAll, describe, expect, it } from 'vitest'
import { type DeviceKind, openDevice } from '../../src/device/index.ts'
import * as fovea from '../../src/train/index.ts'
import { openBrowserPage } from './browser-page.ts'
import { type ObservedTraining, trainOn } from './train.page.ts'

const module = new URL('./train.page.ts', import.meta.url)
const minutes = 60_000
const steps = 4

let expected: ObservedTraining
beforeAll(async () => {
  expected = await trainOn(await openDevice('wasm'), fovea, steps)
})

describe.each<[string, DeviceKind]>([
  ['WebAssembly workers', 'wasm'],
  ['WebGPU', 'webgpu'],
])('%s', (_name, kind) => {
  it('a page trains a decoder as Node does, and gives all memory back', { timeout: 10 * minutes }, async () => {
    expect(expected.losses.at(-1)).toBeLessThan(0.9 * (expected.losses[0] as number))
    const page = await openBrowserPage({ isolated: true })
    try {
      const { device, losses, left } = await page.run<ObservedTraining>(module, 'train', [kind, steps])
      if (kind === 'webgpu') expect(device.toLowerCase()).toContain('swiftshader')
      expect(losses).toHaveLength(steps)
      for (const [i, loss] of losses.entries())
        expect(Math.abs(loss - (expected.losses[i] as number))).toBeLessThan(1e-4)
      expect(left).toBe(0)
    } finally {
      await page.close()
    }
  })
})
