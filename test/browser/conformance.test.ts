import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { DeviceKind, DeviceOptions } from '../../src/device/index.ts'
import { type BrowserPage, openBrowserPage } from './browser-page.ts'
import type { OpenedInPage } from './conformance.page.ts'
import type { PackageResult } from './package.page.ts'

const module = new URL('./conformance.page.ts', import.meta.url)
const names = readdirSync(join(import.meta.dirname, '..', 'golden', 'attention')).map((file) =>
  file.replace(/\.safetensors$/, ''),
)
let page: BrowserPage

beforeAll(async () => {
  page = await openBrowserPage()
})
afterAll(() => page?.close())

const minutes = 60_000
const open = (kind: DeviceKind, options: DeviceOptions, tile: number | null) =>
  page.run<OpenedInPage>(module, 'open', [kind, options, tile])
const goldenFaults = (chosen: readonly string[], dtypes: readonly string[]) =>
  page.run<Record<string, string[]>>(module, 'goldenFaults', [chosen, dtypes], 10 * minutes)

describe.each([0, 1] as const)('WebGPU of the browser, tier %i', (tier) => {
  let faults: Record<string, string[]>

  beforeAll(async () => {
    const opened = await open('webgpu', { webgpu: { tier } }, 16)
    expect(opened.name.toLowerCase()).toContain('swiftshader')
    expect(opened.tier).toBe(tier)
    faults = await goldenFaults(names, ['f32'])
  }, 10 * minutes)

  it.each(names)('%s', (name) => {
    expect(faults[name]).toEqual([])
  })

  it('causal with the tiles of a real device, in f16 storage too', async () => {
    await open('webgpu', { webgpu: { tier } }, null)
    expect(await goldenFaults(['causal'], ['f32', 'f16'])).toEqual({ causal: [] })
  })
})

describe('WebAssembly workers of the browser', () => {
  let faults: Record<string, string[]>

  beforeAll(async () => {
    const opened = await open('wasm', { wasm: { threads: 2 } }, null)
    expect(opened.isolated).toBe(true)
    expect(opened.threads).toBe(2)
    faults = await goldenFaults(names, ['f32', 'f16', 'bf16'])
  }, 10 * minutes)

  it.each(names)('%s', (name) => {
    expect(faults[name]).toEqual([])
  })

  it('are as many as there are processors, when not told', async () => {
    const opened = await open('wasm', {}, null)
    expect(opened.threads).toBe(opened.processors)
  })
})

it('runs the built package by its name', async () => {
  const [query, key, value] = [
    [1, 0, 0, 1],
    [0.5, 0, 0, 2],
    [1, 2, 3, 5],
  ]
  const result = await page.run<PackageResult>(new URL('./package.page.ts', import.meta.url), 'attendByName', [
    { query, key, value },
  ])
  // the second query's scores are 0 and 2 / √2; the first sees one key
  const share = 1 / (1 + Math.exp(Math.SQRT2))
  const expected = [1, 2, 1 * share + 3 * (1 - share), 2 * share + 5 * (1 - share)]
  result.output.forEach((x, i) => {
    expect(x).toBeCloseTo(expected[i] as number, 5)
  })
  expect(result.lse[0]).toBeCloseTo(0.5 / Math.SQRT2, 5)
  expect(result.lse[1]).toBeCloseTo(Math.log(1 + Math.exp(Math.SQRT2)), 5)
  // the browser's GPU is software, which openDevice() passes over
  expect(result.kind).toBe('wasm')
  expect(result.threads).toBeGreaterThanOrEqual(2)
})
