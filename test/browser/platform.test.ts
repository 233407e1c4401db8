import { afterAll, beforeAll, expect, it } from 'vitest'
import { relaxedMaddModule } from '../setup/relaxed-madd-module.ts'
import { type BrowserPage, openBrowserPage } from './browser-page.ts'
import type { AdapterReport } from './platform.page.ts'

const module = new URL('./platform.page.ts', import.meta.url)
let page: BrowserPage

beforeAll(async () => {
  page = await openBrowserPage()
})
afterAll(() => page?.close())

it('runs a compute shader on SwiftShader', async () => {
  const numbers = Array.from({ length: 100 }, (_, i) => i)
  const report = await page.run<AdapterReport>(module, 'addOneOnWebGpu', [numbers])
  console.log(`browser adapter: ${report.architecture} ${report.description} [${report.features.join(' ')}]`)
  expect(`${report.architecture} ${report.description}`.toLowerCase()).toContain('swiftshader')
  expect(report.sum).toEqual(numbers.map((n) => n + 1))
})

it('shares memory with a worker, cross-origin isolated', async () => {
  expect(await page.run(module, 'sumInWorker', [[1, 2, 3, 4]])).toEqual({ isolated: true, sum: 10 })
})

it('accepts relaxed SIMD', async () => {
  expect(await page.run(module, 'validates', [[...relaxedMaddModule]])).toBe(true)
  expect(await page.run(module, 'validates', [[...relaxedMaddModule].with(-2, 0)])).toBe(false)
})

it('brings an exception of the page here', async () => {
  await expect(page.run(module, 'fail', ['no such tile'])).rejects.toThrow('no such tile')
  await expect(page.run(module, 'absent')).rejects.toThrow('exports no function absent')
})
