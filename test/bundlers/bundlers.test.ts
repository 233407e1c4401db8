import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { type Browser, chromium } from 'playwright-core'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { openEngine } from '../../src/llm/index.ts'
import { type Bundler, bundle } from './bundle.ts'
import { installPacked, missing } from './packed-package.ts'
import { serveFolder } from './serve-folder.ts'

const model = join(import.meta.dirname, '..', '..', 'models', 'books-recall-16m.gguf')
const prompt = 'Call me Ishmael. Some years ago--never mind how long'

/** which of them find the file of the workers by themselves; with the others a page without a policy does without */
const placesWorkers: Readonly<Record<Bundler, boolean>> = {
  esbuild: false,
  rollup: false,
  webpack: true,
  vite: true,
  parcel: true,
}

let folder = ''
let browser: Browser
let expected = ''

beforeAll(async () => {
  if (missing) return
  folder = await installPacked('app')
  browser = await chromium.launch({ executablePath: '/usr/bin/chromium', args: ['--no-sandbox'] })
  const engine = await openEngine(model, { device: 'wasm', contextLength: 128, maxSequences: 1, chunkSize: 32 })
  expected = (await engine.generate({ prompt, maxTokens: 8, sampling: { temperature: 0 } }).result).text
  await engine.close()
}, 120_000)

afterAll(async () => {
  await browser?.close()
  if (folder !== '') await rm(folder, { recursive: true })
})

beforeEach((context) => {
  if (missing) context.skip(missing)
})

describe.each(Object.entries(placesWorkers) as [Bundler, boolean][])('%s', (bundler, placed) => {
  it('bundles the package without configuration, and the page computes, writes and trains', async () => {
    const out = await bundle(bundler, folder)
    const server = await serveFolder(out, undefined, { '/model.gguf': model })
    const page = await browser.newPage()
    const faults: string[] = []
    page.on('pageerror', ({ message }) => faults.push(message))
    try {
      await page.goto(server.origin)
      await page.waitForFunction('globalThis.fovea')
      const attended = (await page.evaluate('fovea.attend("wasm")')) as { notes: string[]; threads: number }
      const processors = await page.evaluate('navigator.hardwareConcurrency')
      const p = Math.exp(-Math.SQRT1_2) / (1 + Math.exp(-Math.SQRT1_2))
      expect(attended).toEqual({
        kind: 'wasm',
        attended: [1, 2, ...[3 - 2 * p, 4 - 2 * p].map((number) => expect.closeTo(number, 6))],
        threads: processors,
        notes: [],
      })
      // the page, its module, the model, and the file of the workers
      expect(server.sent.some((path) => /worker|\d\.app\.js/.test(path))).toBe(placed)
      expect(await page.evaluate(`fovea.generate('/model.gguf', ${JSON.stringify(prompt)})`)).toBe(expected)
      const losses = (await page.evaluate('fovea.train(3)')) as number[]
      expect(losses[2]).toBeLessThan(losses[0] as number)
      expect(await page.evaluate('fovea.openPath("config.json")')).toEqual({
        code: 'unsupported',
        message: expect.stringMatching(/^openFile: .*blobSource/),
      })
      expect(faults).toEqual([])
    } finally {
      await page.close()
      await server.close()
    }
  })
})
