import { afterAll, beforeAll, expect, it } from 'vitest'
import type { DeviceKind } from '../../src/device/index.ts'
import { type BrowserPage, openBrowserPage } from './browser-page.ts'

const module = new URL('./recording.page.ts', import.meta.url)
let page: BrowserPage

beforeAll(async () => {
  page = await openBrowserPage()
})
afterAll(() => page?.close())

it.each<[string, DeviceKind, boolean]>([
  ['WebAssembly workers', 'wasm', true],
  ['WebAssembly in a page without shared memory', 'wasm', false],
  ['WebGPU', 'webgpu', true],
])('runs a recording on %s', async (_name, kind, isolated) => {
  const result = await page.run(module, 'countByRecording', [kind, { isolated, kernels: 40, runs: 20 }])
  expect(result).toEqual({ shared: kind === 'wasm' && isolated, values: new Array(50).fill(400) })
})
