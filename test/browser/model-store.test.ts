import { createHash } from 'node:crypto'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { type ModelServer, startModelServer } from '../setup/model-server.ts'
import { type BrowserPage, openBrowserPage } from './browser-page.ts'
import type { Opened } from './model-store.page.ts'

const module = new URL('./model-store.page.ts', import.meta.url)
const mebibyte = 2 ** 20
const pattern = (length: number, seed: number) => new Uint8Array(length).map((_, i) => (i * seed + (i >> 9)) % 256)
const weights = pattern(5 * mebibyte + 321, 31)
const sha256Of = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex')

let page: BrowserPage
let server: ModelServer
let files = 0
/** an address of its own for each test */
let path: string

beforeAll(async () => {
  server = await startModelServer({})
  page = await openBrowserPage()
})
afterAll(async () => {
  await page?.close()
  await server?.close()
})
beforeEach(() => {
  path = `/models/${files++}.gguf`
  server.files[path] = weights
  server.requests.length = 0
  Object.assign(server, { ranges: true, versions: true, cutAfter: Infinity, pauseMs: 0, wrongHash: false })
})

const open = (...args: readonly unknown[]) => page.run<Opened>(module, 'open', args)
const url = () => server.origin + path
const froms = () =>
  server.requests.filter(({ method }) => method === 'GET').map(({ range }) => Number(/\d+/.exec(range ?? '')?.[0]))

describe('the store of a page', () => {
  it('keeps what was downloaded, with its progress, for the next page without a network', async () => {
    expect(await open(url())).toEqual({
      sha256: sha256Of(weights),
      progress: { file: path.slice(8), done: weights.length, total: weights.length, store: 'opfs' },
      error: null,
    })
    await page.page.reload()
    // gone, as far as the page can see
    await page.page.route(`${server.origin}/**`, (route) => route.abort())
    expect(await open(url())).toMatchObject({ sha256: sha256Of(weights), error: null })
    await page.page.unroute(`${server.origin}/**`)
    expect(froms()).toEqual([0])
  })

  it('goes on after the page was closed in the middle', async () => {
    server.pauseMs = 10
    // the reload ends the call
    const gone = open(url()).catch(() => null)
    // of this file: the page still knows what the one before told
    const [file, done] = [JSON.stringify(path.slice(8)), 2.2 * mebibyte]
    await page.page.waitForFunction(`globalThis.lastProgress?.file === ${file} && lastProgress.done > ${done}`)
    await page.page.reload()
    await gone
    server.pauseMs = 0
    expect(await open(url())).toMatchObject({ sha256: sha256Of(weights), error: null })
    // whole segments are what stays: of a mebibyte, and what came with its last bytes
    const [first, second] = froms()
    expect(first).toBe(0)
    expect(second).toBeGreaterThanOrEqual(2 * mebibyte)
    expect(second).toBeLessThan(weights.length)
    expect(froms()).toHaveLength(2)
  })

  it('goes on after a broken connection, and begins again without ranges', async () => {
    server.cutAfter = 2 * mebibyte
    expect(await open(url())).toMatchObject({ sha256: sha256Of(weights), error: null })
    expect(froms().length).toBeGreaterThan(2)
    expect(froms()[1]).toBeGreaterThan(mebibyte)
    server.cutAfter = Number.POSITIVE_INFINITY
    path = `/models/${files++}.gguf`
    server.files[path] = weights
    server.ranges = false
    expect(await open(url(), {}, 2 * mebibyte)).toMatchObject({ error: { code: 'cancelled' } })
    expect(await open(url())).toMatchObject({ sha256: sha256Of(weights), error: null })
  })

  it('begins again with a file that has changed, whether a part or all of it was there', async () => {
    const [second, third] = [pattern(5 * mebibyte + 321, 7), pattern(3 * mebibyte, 9)]
    expect(await open(url(), {}, 2 * mebibyte)).toMatchObject({ error: { code: 'cancelled' } })
    server.files[path] = second
    expect(await open(url())).toMatchObject({ sha256: sha256Of(second) })
    expect(froms().slice(0, 1)).toEqual([0])
    expect(froms().at(-1)).toBe(0)
    server.files[path] = third
    expect(await open(url())).toMatchObject({ sha256: sha256Of(third) })
  })

  it('refuses a wrong hash, and keeps nothing of it', async () => {
    const sha256 = sha256Of(weights)
    const wrong = sha256.replace(/^./, sha256[0] === '0' ? '1' : '0')
    expect(await open(url(), { sha256: wrong })).toMatchObject({
      error: { code: 'format', message: expect.stringContaining(sha256) },
    })
    expect(await open(url(), { sha256 })).toMatchObject({ sha256 })
    expect(froms()).toEqual([0, 0])
  })

  it('is written once by two who want the same', async () => {
    server.pauseMs = 2
    const both = await page.run<Opened[]>(module, 'openTwice', [url()])
    expect(both.map(({ sha256 }) => sha256)).toEqual([sha256Of(weights), sha256Of(weights)])
    expect(froms()).toEqual([0])
  })

  it('has a model of the Hub, listed with its sizes and removed by its name', async () => {
    const config = new TextEncoder().encode('{"model_type":"llama"}')
    server.files['/maker/model/config.json'] = config
    server.files['/maker/model/model.safetensors'] = weights
    const options = { hubUrl: server.origin }
    server.wrongHash = true
    expect(await open('hf:maker/model', options)).toMatchObject({ error: { code: 'format' } })
    server.wrongHash = false
    expect(await open('hf:maker/model', options)).toMatchObject({
      sha256: sha256Of(weights),
      progress: { done: weights.length + config.length, total: weights.length + config.length },
    })
    const before = server.requests.length
    expect(await open('hf:maker/model@main', options)).toMatchObject({ sha256: sha256Of(weights) })
    expect(server.requests.slice(before).map((request) => request.path)).toEqual(['/api/models/maker/model/tree/main'])
    const models = await page.run<{ name: string; bytes: number; age: number; files: unknown }[]>(module, 'list')
    const mine = models.find(({ name }) => name === 'hf:maker/model@main')
    expect(mine?.files).toEqual(
      expect.arrayContaining([
        { path: 'config.json', bytes: config.length },
        { path: 'model.safetensors', bytes: weights.length },
      ]),
    )
    expect(mine?.age).toBeLessThan(60_000)
    expect(models.map(({ name }) => name)).toContain(`${server.origin}/models/0.gguf`)
    expect(await page.run(module, 'remove', ['hf:maker/model'])).toBe(mine?.bytes)
    const left = await page.run<{ name: string }[]>(module, 'list')
    expect(left).toHaveLength(models.length - 1)
    expect(left.map(({ name }) => name)).not.toContain('hf:maker/model@main')
    await expect(page.run(module, 'remove', ['hf:maker/model'])).rejects.toThrow('has no hf:maker/model@main')
  })

  it('says how many bytes are needed and left when there is no room', async () => {
    const session = await page.page.context().newCDPSession(page.page)
    const origin = new URL(page.page.url()).origin
    const { usage } = await session.send('Storage.getUsageAndQuota', { origin })
    await session.send('Storage.overrideQuotaForOrigin', { origin, quotaSize: usage + 2 * mebibyte })
    try {
      const { error } = await open(url())
      expect(error?.code).toBe('capacity')
      expect(error?.message).toMatch(/needs \d+ bytes, the Origin Private File System takes no more/)
      expect(await open(url(), { store: false })).toMatchObject({
        sha256: sha256Of(weights),
        progress: { store: 'memory' },
      })
    } finally {
      await session.send('Storage.overrideQuotaForOrigin', { origin })
    }
    // what a browser tells is asked before anything is written
    await page.page.evaluate('navigator.storage.estimate = async () => ({ quota: 100, usage: 40 })')
    path = `/models/${files++}.gguf`
    server.files[path] = weights
    expect((await open(url())).error).toMatchObject({
      code: 'capacity',
      message: expect.stringContaining(`needs ${weights.length} bytes, the Origin Private File System has 60 left`),
    })
    await page.page.reload()
  })

  it('reads a file that a person chose', async () => {
    await page.page.evaluate(
      'document.body.innerHTML = \'<input id="one" type="file"><input id="many" type="file" multiple>\'',
    )
    const buffer = Buffer.from(weights)
    await page.page.setInputFiles('#one', { name: 'mine.gguf', mimeType: '', buffer })
    expect(await page.run(module, 'openChosen', ['one'])).toMatchObject({ sha256: sha256Of(weights), progress: null })
    const config = { name: 'config.json', mimeType: '', buffer: Buffer.from('{}') }
    await page.page.setInputFiles('#many', [config, { name: 'model.safetensors', mimeType: '', buffer }])
    expect(await page.run(module, 'openChosen', ['many'])).toMatchObject({ sha256: sha256Of(weights) })
  })
})

it('without a file system a page holds the model in memory, and says so', async () => {
  const own = await openBrowserPage({ isolated: false })
  try {
    await own.page.addInitScript(() => {
      navigator.storage.getDirectory = () =>
        Promise.reject(new DOMException('not in a private window', 'SecurityError'))
    })
    await own.page.reload()
    expect(await own.run(module, 'open', [url()])).toMatchObject({
      sha256: sha256Of(weights),
      progress: { store: 'memory' },
    })
    expect(await own.run(module, 'open', [url(), { store: 'opfs' }])).toMatchObject({
      error: { code: 'unsupported', message: expect.stringContaining('not in a private window') },
    })
    await expect(own.run(module, 'list')).rejects.toThrow('nothing can be stored')
  } finally {
    await own.close()
  }
})
