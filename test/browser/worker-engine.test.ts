import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type GenerateRequest, type GenerationResult, openEngine } from '../../src/llm/index.ts'
import { type BrowserPage, openBrowserPage } from './browser-page.ts'
import type { OpenedInWorker, SeenGeneration } from './worker-engine.page.ts'

const module = new URL('./worker-engine.page.ts', import.meta.url)
const model = 'models/books-recall-16m.gguf'
const options = { contextLength: 128, maxSequences: 1, pageSize: 32, chunkSize: 32 }
const prompt = 'Call me Ishmael. Some years ago--never mind how long precisely--having little or no money in my purse'
const greedy: GenerateRequest = { prompt, maxTokens: 12, sampling: { temperature: 0 } }
const long: GenerateRequest = { ...greedy, maxTokens: 90, ignoreEos: true }
/** much less than the model takes to open, and to read the prompt; much more than a page needs to draw */
const freeMs = 500

let expected: GenerationResult
let encoded: readonly number[]

beforeAll(async () => {
  const engine = await openEngine(join(import.meta.dirname, '..', '..', model), { ...options, device: 'wasm' })
  expected = await engine.generate(greedy).result
  encoded = engine.tokenizer.encode(prompt)
  await engine.close()
}, 120_000)

describe('an engine in a worker of a page', () => {
  let page: BrowserPage
  beforeAll(async () => {
    page = await openBrowserPage()
  })
  afterAll(() => page?.close())

  it('opens from an address beside the page, with threads of its own, and gives the tokens of Node', async () => {
    const opened = await page.run<OpenedInWorker>(module, 'open', [`/${model}`, { ...options, device: 'wasm' }])
    expect(opened).toMatchObject({ files: ['books-recall-16m.gguf'], device: expect.stringContaining('WebAssembly') })
    expect(opened.threads).toBeGreaterThan(1)
    expect(opened.busyMs).toBeLessThan(freeMs)
    const seen = await page.run<SeenGeneration>(module, 'generate', [0, greedy])
    const { timing: _, ...result } = expected
    expect(seen.result).toEqual(result)
    expect(seen.streamed).toBe(expected.text)
    expect(seen.prefill.at(-1)).toEqual([encoded.length, encoded.length])
    expect(seen.completionTokens).toBe(12)
    expect(seen.busyMs).toBeLessThan(freeMs)
  })

  it('has the tokenizer, brings errors as they are, and is cancelled by a signal', async () => {
    expect(await page.run(module, 'roundTrip', [0, prompt])).toEqual([[...encoded], prompt, true])
    expect(await page.run(module, 'refusal', [0, { ...greedy, maxTokens: -1 }])).toMatchObject({
      name: 'FoveaError',
      code: 'argument',
      where: 'engine.generate',
    })
    const { result } = await page.run<SeenGeneration>(module, 'generate', [0, long, 2])
    expect(result.finishReason).toBe('cancelled')
    expect(result.tokens.length).toBeLessThan(90)
  })

  it('stands beside another one, which ends alone when its worker is ended, and says so', async () => {
    await page.run(module, 'open', [
      `/${model}`,
      { ...options, device: 'wasm', deviceOptions: { wasm: { threads: 1 } } },
    ])
    const lost = /^device: .*the worker of the engine was lost/
    const [first, second, third] = await page.run<string[]>(module, 'kill', [long])
    expect(first).toMatch(lost)
    expect(second).toMatch(lost)
    expect(third).toMatch(lost)
    const seen = await page.run<SeenGeneration>(module, 'generate', [0, greedy])
    expect(seen.result.tokens).toEqual(expected.tokens)
    expect(await page.run(module, 'close')).toBe('disposed')
  })

  it('computes with WebGPU there', async () => {
    const opened = await page.run<OpenedInWorker>(module, 'open', [`/${model}`, { ...options, device: 'webgpu' }])
    expect(opened.device.toLowerCase()).toContain('swiftshader')
    const seen = await page.run<SeenGeneration>(module, 'generate', [0, { ...greedy, maxTokens: 1 }])
    // one token takes the kernels of a prompt alone, which a software GPU compiles for a while
    expect(seen.result.tokens).toEqual(expected.tokens.slice(0, 1))
    await page.run(module, 'close')
  })

  it('rejects with what does not open, and with a script that is not there', async () => {
    await expect(page.run(module, 'open', ['/models/none.gguf', options])).rejects.toThrow('there is no such file')
    await expect(page.run(module, 'open', [`/${model}`, { workerUrl: '/none-worker.js' }])).rejects.toThrow(
      'no worker starts: its script was not loaded',
    )
  })
})
