import { join } from 'node:path'
import type { Page } from 'playwright-core'
import { beforeAll, describe, expect, it } from 'vitest'
import type { DeviceKind } from '../../src/device/index.ts'
import type { GenerateRequest, GenerationResult } from '../../src/llm/index.ts'
import { openEngine } from '../../src/llm/index.ts'
import { type BrowserPage, openBrowserPage } from './browser-page.ts'
import type { ObservedGeneration, OpenedEngine } from './generate.page.ts'

const module = new URL('./generate.page.ts', import.meta.url)
const model = 'models/books-recall-16m.gguf'
const minutes = 60_000

// a software GPU compiles the kernels of short tiles of keys sooner, and pages this short are what two short prompts share
const options = { contextLength: 128, maxSequences: 1, pageSize: 32, chunkSize: 32 }
const prompt =
  'Call me Ishmael. Some years ago--never mind how long precisely--having little or no money in my purse, and nothing particular to interest me on shore, I thought I would'
const first: GenerateRequest = { prompt, maxTokens: 16, sampling: { temperature: 0 } }
const second: GenerateRequest = { prompt: `${prompt} go to sea`, maxTokens: 80, sampling: { temperature: 0 } }

/** what Node gives for the same file */
let expected: { readonly first: GenerationResult; readonly second: GenerationResult }

beforeAll(async () => {
  const engine = await openEngine(join(import.meta.dirname, '..', '..', model), { ...options, device: 'wasm' })
  expected = { first: await engine.generate(first).result, second: await engine.generate(second).result }
  await engine.close()
})

describe.each<[string, DeviceKind, boolean]>([
  ['WebAssembly workers', 'wasm', true],
  ['WebAssembly in a page without shared memory', 'wasm', false],
  ['WebGPU', 'webgpu', true],
])('%s', (_name, kind, isolated) => {
  it('generates from a fetched model what Node does', { timeout: 10 * minutes }, async () => {
    const page = await openBrowserPage({ isolated })
    try {
      const opened = await page.run<OpenedEngine>(module, 'open', [`/${model}`, kind, options])
      expect(opened.isolated).toBe(isolated)
      if (kind === 'webgpu') expect(opened.device.toLowerCase()).toContain('swiftshader')
      else expect(opened.threads).toBe(isolated ? opened.processors : 1)
      expect(Math.abs(opened.allocated - opened.planned)).toBeLessThan(0.01 * opened.planned)
      checkWhole(await generateIn(page, first))
      checkCancelled(await generateIn(page, second, 1))
      await page.run(module, 'close')
    } finally {
      await page.close()
    }
  })
})

it('the example does it for a person, on a server that sends no headers', { timeout: 10 * minutes }, async () => {
  const { page, close } = await openBrowserPage({ path: '/examples/browser/', isolated: false })
  page.setDefaultTimeout(2 * minutes)
  try {
    await page.waitForFunction('crossOriginIsolated')
    await page.selectOption('[name=device]', 'wasm')
    await page.fill('[name=prompt]', prompt)
    await page.fill('[name=tokens]', String(first.maxTokens))
    await page.fill('[name=temperature]', '0')
    await page.click('#generate')
    await page.waitForSelector('#figures:not([hidden]), #trouble:not([hidden])')
    expect(await page.textContent('#trouble')).toBe('')
    expect(await page.textContent('#text')).toBe(prompt + expected.first.text)
    expect(await tableRows(page, '#figures')).toMatchObject({
      device: expect.stringMatching(/WebAssembly on \d+ threads/),
      'found in the cache': '0 tokens',
      written: expect.stringMatching(/^16 tokens, [\d.]+ tokens\/s$/),
      'ended by': 'its length',
    })
    const planned = (await tableRows(page, '#plan'))['in all']
    expect(planned).toMatch(/^[\d.]+ MB$/)
    expect((await tableRows(page, '#figures'))['most memory taken']).toBe(planned)

    await page.fill('[name=tokens]', '4000')
    await page.click('#generate')
    await page.waitForFunction('document.getElementById("answer").textContent.length > 100')
    await page.click('#cancel')
    await page.waitForSelector('#figures:not([hidden])')
    expect(await tableRows(page, '#figures')).toMatchObject({ 'found in the cache': '32 tokens', 'ended by': 'you' })
  } finally {
    await close()
  }
})

/** A table of two columns. */
async function tableRows(page: Page, selector: string): Promise<Record<string, string>> {
  const rows = await page.$$eval(`${selector} tr`, (trs) =>
    trs.map((tr) => [...(tr as HTMLTableRowElement).cells].map(({ textContent }) => textContent ?? '')),
  )
  return Object.fromEntries(rows)
}

function generateIn(page: BrowserPage, request: GenerateRequest, cancelAfter?: number): Promise<ObservedGeneration> {
  const args = cancelAfter === undefined ? [request] : [request, cancelAfter]
  return page.run<ObservedGeneration>(module, 'generate', args, 9 * minutes)
}

function checkWhole(seen: ObservedGeneration): void {
  expect(seen.tokens).toEqual(expected.first.tokens)
  expect(seen.tokens).toHaveLength(16)
  expect(seen.text).toBe(expected.first.text)
  expect(seen.streamed).toBe(seen.text)
  expect(seen.finishReason).toBe('length')
  expect(seen.cachedTokens).toBe(0)
  expect(seen.prefill).toEqual([
    [32, 43],
    [43, 43],
  ])
  // they come while it goes on, not together at the end
  expect(seen.steps).toHaveLength(16)
  expect(new Set(seen.steps).size).toBeGreaterThan(12)
  expect(seen.pagesUsed).toBe(0)
}

function checkCancelled(seen: ObservedGeneration): void {
  expect(seen.cachedTokens).toBe(32)
  expect(seen.finishReason).toBe('cancelled')
  expect(seen.tokens.length).toBeGreaterThan(0)
  expect(seen.tokens.length).toBeLessThan(80)
  expect(seen.tokens).toEqual(expected.second.tokens.slice(0, seen.tokens.length))
  expect(seen.streamed).toBe(seen.text)
  expect(seen.pagesUsed).toBe(0)
}
