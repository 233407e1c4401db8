import { createHash } from 'node:crypto'
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { downloadModel } from './hub.ts'
import type { DownloadProgress } from './source/source-options.ts'

const id = 'maker/model'
const text = (value: string) => new TextEncoder().encode(value)
const weights = Uint8Array.from({ length: 3_000_000 }, (_, i) => (i * 31) % 251)

/** What a Hub of this interface answers, over real HTTP on the loopback. */
interface LocalHub {
  readonly url: string
  readonly requests: { readonly path: string; readonly range: string | undefined }[]
  files: Record<string, Uint8Array>
  /** bytes of a body after which the connection breaks */
  breakAfter: number
  wrongHash: boolean
  close(): Promise<void>
}

async function openHub(files: Record<string, Uint8Array>): Promise<LocalHub> {
  const requests: LocalHub['requests'] = []
  const server: Server = createServer((request, response) => {
    const { pathname } = new URL(request.url ?? '/', 'http://hub')
    requests.push({ path: pathname, range: request.headers.range })
    if (pathname.startsWith('/api/models/other/') || !pathname.includes(id)) {
      response.writeHead(404, { 'content-type': 'application/json' }).end('{"error":"Repository not found"}')
      return
    }
    if (pathname.startsWith('/api/')) {
      const list = Object.entries(hub.files).map(([path, bytes]) => {
        const sha256 = createHash('sha256')
          .update(hub.wrongHash ? text('else') : bytes)
          .digest('hex')
        const lfs = { oid: sha256, size: bytes.byteLength, pointerSize: 130 }
        return {
          type: 'file',
          path,
          size: bytes.byteLength,
          oid: createHash('sha1').update(`blob ${bytes.byteLength}\0`).update(bytes).digest('hex'),
          ...(path.endsWith('s') && { lfs }),
        }
      })
      response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(list))
      return
    }
    const bytes = hub.files[pathname.slice(`/${id}/resolve/main/`.length)] ?? text('')
    const from = Number(/bytes=(\d+)-/.exec(request.headers.range ?? '')?.[1] ?? 0)
    const to = bytes.byteLength - 1
    const body = bytes.subarray(from)
    const headers = {
      'content-length': body.byteLength,
      'content-range': `bytes ${from}-${to}/${bytes.byteLength}`,
      etag: '"tag"',
    }
    response.writeHead(request.headers.range ? 206 : 200, headers)
    if (body.byteLength <= hub.breakAfter) response.end(body)
    else response.write(body.subarray(0, hub.breakAfter), () => setTimeout(() => response.destroy(), 20))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const hub: LocalHub = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests,
    files,
    breakAfter: Number.POSITIVE_INFINITY,
    wrongHash: false,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
  return hub
}

describe('downloadModel', () => {
  let hub: LocalHub
  let cacheFolder: string
  beforeEach(async () => {
    cacheFolder = await mkdtemp(join(tmpdir(), 'fovea-hub-'))
    hub = await openHub({
      'config.json': text('{"model_type":"llama"}'),
      'tokenizer.json': text('{}'),
      'model.safetensors': weights,
      'pytorch_model.bin': text('not read'),
      'onnx/model.onnx': text('not read'),
    })
  })
  afterEach(async () => {
    await hub.close()
    await rm(cacheFolder, { recursive: true, force: true })
  })

  it('downloads what is read of a model and nothing else, with progress, and keeps it', async () => {
    const steps: DownloadProgress[] = []
    const options = { hubUrl: hub.url, cacheFolder, onProgress: (step: DownloadProgress) => steps.push(step) }
    const folder = await downloadModel(id, options)
    const names = (await readdir(folder)).filter((name) => !name.startsWith('.')).sort()
    expect(names).toEqual(['config.json', 'model.safetensors', 'tokenizer.json'])
    expect(Buffer.from(weights).equals(await readFile(join(folder, 'model.safetensors')))).toBe(true)
    const done = steps.map((step) => step.done)
    expect(done).toEqual(done.toSorted((a, b) => a - b))
    expect(steps.at(-1)?.done).toBe(weights.byteLength + 22 + 2)
    expect(steps.at(-1)?.total).toBe(weights.byteLength + 22 + 2)

    const before = hub.requests.length
    expect(await downloadModel(id, options)).toBe(folder)
    expect(hub.requests.slice(before).filter(({ path }) => path.includes('/resolve/'))).toEqual([])
  })

  it('goes on where a broken download ended', async () => {
    // so often that one call gives up
    hub.breakAfter = 200_000
    await expect(downloadModel(id, { hubUrl: hub.url, cacheFolder })).rejects.toMatchObject({ code: 'io' })
    hub.breakAfter = Number.POSITIVE_INFINITY
    const before = hub.requests.length
    const folder = await downloadModel(id, { hubUrl: hub.url, cacheFolder })
    expect(Buffer.from(weights).equals(await readFile(join(folder, 'model.safetensors')))).toBe(true)
    const ranges = hub.requests.slice(before).map(({ range }) => Number(/bytes=(\d+)-/.exec(range ?? '')?.[1] ?? 0))
    expect(Math.max(...ranges)).toBe(1_600_000)
  })

  it('refuses bytes that do not have the announced hash, and starts anew', async () => {
    hub.wrongHash = true
    await expect(downloadModel(id, { hubUrl: hub.url, cacheFolder })).rejects.toMatchObject({
      code: 'format',
      message: expect.stringContaining('model.safetensors'),
    })
    hub.wrongHash = false
    await downloadModel(id, { hubUrl: hub.url, cacheFolder })
  })

  it('opens what is complete without a network, and says what to do where it is not', async () => {
    const folder = await downloadModel(id, { hubUrl: hub.url, cacheFolder })
    const { url } = hub
    await hub.close()
    expect(await downloadModel(id, { hubUrl: url, cacheFolder })).toBe(folder)
    await rm(join(folder, 'tokenizer.json'))
    const failure = { code: 'io', message: expect.stringMatching(/maker\/model.*cannot be reached.*folder.*\.gguf/s) }
    await expect(downloadModel(id, { hubUrl: url, cacheFolder })).rejects.toMatchObject(failure)
    await expect(downloadModel('maker/model', { hubUrl: url, cacheFolder: `${cacheFolder}/2` })).rejects.toMatchObject(
      failure,
    )
  })

  it('takes one .gguf file by name, or the only one', async () => {
    hub.files = { 'small.gguf': text('GGUF small'), 'large.gguf': text('GGUF large') }
    const options = { hubUrl: hub.url, cacheFolder }
    const path = await downloadModel(id, { ...options, file: 'large.gguf' })
    expect(await readFile(path, 'utf8')).toBe('GGUF large')
    await expect(downloadModel(id, options)).rejects.toMatchObject({
      code: 'argument',
      message: expect.stringContaining('small.gguf, large.gguf'),
    })
    await expect(downloadModel(id, { ...options, file: 'huge.gguf' })).rejects.toMatchObject({ code: 'argument' })
    hub.files = { 'only.gguf': text('GGUF only') }
    expect(await readFile(await downloadModel(id, options), 'utf8')).toBe('GGUF only')
    hub.files = { 'README.md': text('nothing') }
    await expect(downloadModel(id, options)).rejects.toMatchObject({ code: 'argument' })
  })

  it('is cancelled by a signal, leaving a part to go on with', async () => {
    const controller = new AbortController()
    const onProgress = ({ file, done }: DownloadProgress) => {
      if (file === 'model.safetensors' && done > 100_000) controller.abort()
    }
    const options = { hubUrl: hub.url, cacheFolder, onProgress, signal: controller.signal }
    await expect(downloadModel(id, options)).rejects.toMatchObject({ code: 'cancelled' })
  })

  it('refuses ids that are none, and models that are not there', async () => {
    for (const wrong of ['model', '../secret', 'a/b/c', 'a/..', ''])
      await expect(downloadModel(wrong, { hubUrl: hub.url, cacheFolder })).rejects.toMatchObject({ code: 'argument' })
    await expect(downloadModel('other/none', { hubUrl: hub.url, cacheFolder })).rejects.toMatchObject({
      code: 'io',
      message: expect.stringContaining('no such model'),
    })
  })

  it('names the folder that it cannot write', async () => {
    const blocked = join(cacheFolder, 'file')
    await writeFile(blocked, '')
    await expect(downloadModel(id, { hubUrl: hub.url, cacheFolder: blocked })).rejects.toMatchObject({
      code: 'io',
      message: expect.stringContaining(blocked),
    })
  })
})
