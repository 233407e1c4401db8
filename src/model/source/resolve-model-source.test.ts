import { createHash } from 'node:crypto'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { type ModelServer, startModelServer } from '../../../test/setup/model-server.ts'
import { bytesSource } from '../files/byte-source.ts'
import { listModels, removeModel } from '../store/model-store.ts'
import { modelNameOf, modelPlace, shortName } from './model-name.ts'
import { type ModelSource, resolveModelSource } from './resolve-model-source.ts'
import type { ResolvedModel } from './resolved-model.ts'
import type { DownloadProgress, SourceOptions } from './source-options.ts'

const text = (value: string) => new TextEncoder().encode(value)
const pattern = (length: number, seed: number) => new Uint8Array(length).map((_, i) => (i * seed + (i >> 9)) % 256)
const weights = pattern(1_000_000, 31)
const sha256Of = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex')

let server: ModelServer
let cacheFolder: string
beforeEach(async () => {
  cacheFolder = await mkdtemp(join(tmpdir(), 'fovea-source-'))
  server = await startModelServer({
    '/models/a.gguf': weights,
    '/folder/config.json': text('{"model_type":"llama"}'),
    '/folder/tokenizer.json': text('{}'),
    '/folder/model.safetensors.index.json': text(
      '{"weight_map":{"a":"model-00001-of-00002.safetensors","b":"model-00002-of-00002.safetensors"}}',
    ),
    '/folder/model-00001-of-00002.safetensors': pattern(70_000, 3),
    '/folder/model-00002-of-00002.safetensors': pattern(90_000, 5),
    '/maker/model/small.gguf': pattern(5_000, 7),
  })
})
afterEach(async () => {
  await server.close()
  await rm(cacheFolder, { recursive: true, force: true })
})

/** The hash of a file: a comparison of a million numbers would take the time of all tests here. */
async function hashOf(found: ResolvedModel, file?: string): Promise<string> {
  return sha256Of(await bytesOf(found, file))
}

async function bytesOf(found: ResolvedModel, file?: string): Promise<Uint8Array> {
  const source = found.kind === 'gguf' ? found.source : await found.files.open(file ?? '')
  if (!source) throw new Error(`${file} is not there`)
  const bytes = await source.read(0, source.size)
  await source.close()
  return Uint8Array.from(bytes)
}

const resolve = (source: ModelSource, options: SourceOptions = {}) =>
  resolveModelSource(source, { cacheFolder, ...options })
const sent = () => server.requests.filter(({ method }) => method === 'GET')

describe('a URL of a file', () => {
  const url = () => `${server.origin}/models/a.gguf`

  it('is downloaded once, with progress by bytes, and read from the store by position', async () => {
    const steps: DownloadProgress[] = []
    const found = await resolve(url(), { onProgress: (step) => steps.push(step) })
    expect(await hashOf(found)).toBe(sha256Of(weights))
    expect(steps.at(-1)).toEqual({ file: 'a.gguf', done: 1_000_000, total: 1_000_000, store: 'folder' })
    expect(steps.map(({ done }) => done)).toEqual(steps.map(({ done }) => done).toSorted((a, b) => a - b))
    expect(await hashOf(await resolve(url()))).toBe(sha256Of(weights))
    expect(sent()).toHaveLength(1)
    await server.close()
    expect(await hashOf(await resolve(url()))).toBe(sha256Of(weights))
  })

  it('goes on by itself where a connection broke', async () => {
    server.cutAfter = 300_000
    expect(await hashOf(await resolve(url()))).toBe(sha256Of(weights))
    const froms = sent().map(({ range }) => Number(/\d+/.exec(range ?? '')?.[0]))
    expect(froms.length).toBeGreaterThan(3)
    expect(froms[0]).toBe(0)
    // what was on its way when the connection broke may be lost
    for (const [i, from] of froms.slice(1).entries()) expect(from).toBeGreaterThan(froms[i] as number)
  })

  it('goes on at the next opening, or begins again where the file has changed or nothing says that it has not', async () => {
    const broken = async () => {
      const stop = new AbortController()
      const onProgress = ({ done }: DownloadProgress) => done > 300_000 && stop.abort()
      server.pauseMs = 1
      await expect(resolve(url(), { signal: stop.signal, onProgress: onProgress as () => void })).rejects.toMatchObject(
        {
          code: 'cancelled',
        },
      )
      server.pauseMs = 0
      server.requests.length = 0
    }
    const froms = () => sent().map(({ range }) => Number(/\d+/.exec(range ?? '')?.[0]))

    await broken()
    expect(await hashOf(await resolve(url()))).toBe(sha256Of(weights))
    expect(froms()).toEqual([expect.toSatisfy((from: number) => from > 300_000)])

    await removeModel(url(), { cacheFolder })
    await broken()
    const other = pattern(1_000_000, 77)
    server.files['/models/a.gguf'] = other
    expect(await hashOf(await resolve(url()))).toBe(sha256Of(other))
    expect(froms()).toEqual([expect.toSatisfy((from: number) => from > 300_000), 0])

    await removeModel(url(), { cacheFolder })
    server.versions = false
    await broken()
    expect(await hashOf(await resolve(url()))).toBe(sha256Of(other))
    expect(froms()).toEqual([0])

    // a hash that is announced tells in the end, so the part is gone on with
    await removeModel(url(), { cacheFolder })
    await broken()
    expect(await hashOf(await resolve(url(), { sha256: sha256Of(other).toUpperCase() }))).toBe(sha256Of(other))
    expect(froms()).toEqual([expect.toSatisfy((from: number) => from > 300_000)])
  })

  it('begins again on a server without ranges', async () => {
    server.ranges = false
    server.cutAfter = 300_000
    server.cutOnce = true
    expect(await hashOf(await resolve(url()))).toBe(sha256Of(weights))
  })

  it('gives up when a connection brings nothing', async () => {
    server.cutAfter = 300_000
    server.ranges = false
    await expect(resolve(url())).rejects.toMatchObject({ code: 'io', message: expect.stringContaining('a.gguf') })
  })

  it('is fetched anew when the server has another, also where HEAD is refused', async () => {
    await resolve(url()).then(bytesOf)
    for (const [seed, refusedMethods] of [
      [5, []],
      [7, ['HEAD']],
    ] as const) {
      server.refusedMethods = refusedMethods
      const other = pattern(1_000_000, seed)
      server.files['/models/a.gguf'] = other
      expect(await hashOf(await resolve(url()))).toBe(sha256Of(other))
    }
    // one that is gone stays as it was
    delete server.files['/models/a.gguf']
    expect(await hashOf(await resolve(url()))).toBe(sha256Of(pattern(1_000_000, 7)))
  })

  it('must have the hash that is asked for', async () => {
    const right = sha256Of(weights)
    await expect(resolve(url(), { sha256: right.replace(/^./, right[0] === '0' ? '1' : '0') })).rejects.toMatchObject({
      code: 'format',
      message: expect.stringContaining(right),
    })
    expect(await hashOf(await resolve(url(), { sha256: right }))).toBe(sha256Of(weights))
    server.requests.length = 0
    expect(await hashOf(await resolve(url(), { sha256: right }))).toBe(sha256Of(weights))
    expect(server.requests).toEqual([])
    for (const sha256 of ['abc', `${right}0`, `g${right.slice(1)}`])
      await expect(resolve(url(), { sha256 })).rejects.toMatchObject({ code: 'argument' })
  })

  it('is held in memory alone with store: false', async () => {
    const steps: DownloadProgress[] = []
    const found = await resolve(url(), { store: false, onProgress: (step) => steps.push(step) })
    expect(await hashOf(found)).toBe(sha256Of(weights))
    expect(steps.at(-1)?.store).toBe('memory')
    expect(await listModels({ cacheFolder })).toEqual([])
  })

  it('is downloaded once by several who want it at once', async () => {
    server.pauseMs = 2
    const found = await Promise.all([resolve(url()), resolve(url()), resolve(url())])
    for (const each of found) expect(await hashOf(each)).toBe(sha256Of(weights))
    expect(sent()).toHaveLength(1)
  })

  it('says what is wrong with an address', async () => {
    await expect(resolve(`${server.origin}/models/none.gguf`)).rejects.toMatchObject({
      code: 'io',
      message: expect.stringMatching(/none\.gguf: there is no such file \(status 404\)/),
    })
    await expect(resolve(`${server.origin}/models`)).rejects.toMatchObject({
      code: 'io',
      message: expect.stringContaining('has no config.json'),
    })
    const { origin } = server
    await server.close()
    await expect(resolve(`${origin}/models/b.gguf`)).rejects.toMatchObject({
      code: 'io',
      message: expect.stringContaining('cannot be reached'),
    })
  })
})

it('a URL of a folder brings what is read of it, sharded or not, and opens without a network', async () => {
  const steps: DownloadProgress[] = []
  const found = await resolve(`${server.origin}/folder/`, { onProgress: (step) => steps.push(step) })
  expect(new TextDecoder().decode(await bytesOf(found, 'config.json'))).toBe('{"model_type":"llama"}')
  expect(await hashOf(found, 'model-00002-of-00002.safetensors')).toBe(sha256Of(pattern(90_000, 5)))
  expect(found.kind === 'folder' && (await found.files.open('chat_template.jinja'))).toBe(null)
  const total = Object.entries(server.files)
    .filter(([path]) => path.startsWith('/folder/'))
    .reduce((sum, [, { byteLength }]) => sum + byteLength, 0)
  expect(steps.at(-1)).toMatchObject({ done: total, total })
  await server.close()
  const again = await resolve(`${server.origin}/folder`)
  expect(await hashOf(again, 'model-00001-of-00002.safetensors')).toBe(sha256Of(pattern(70_000, 3)))
})

it('models are listed with their sizes, and removed by any way of writing their names', async () => {
  await bytesOf(await resolve('hf:maker/model', { hubUrl: server.origin }))
  await bytesOf(await resolve(`${server.origin}/models/a.gguf`))
  const models = await listModels({ cacheFolder })
  expect(models.map(({ name }) => name)).toEqual(['hf:maker/model@main', `${server.origin}/models/a.gguf`])
  expect(models.map(({ files }) => files)).toEqual([
    [{ path: 'small.gguf', bytes: 5_000 }],
    [{ path: 'a.gguf', bytes: 1_000_000 }],
  ])
  for (const { bytes, files, modified } of models) {
    expect(bytes - (files[0]?.bytes ?? 0)).toBeLessThan(1000)
    expect(Math.abs(modified.getTime() - Date.now())).toBeLessThan(60_000)
  }
  expect(await removeModel('hf:maker/model', { cacheFolder })).toBe(models[0]?.bytes)
  await expect(removeModel('hf:maker/model', { cacheFolder })).rejects.toMatchObject({
    code: 'argument',
    message: expect.stringContaining(`there are ${server.origin}/models/a.gguf`),
  })
  expect(await listModels({ cacheFolder })).toHaveLength(1)
})

it('reads paths, file URLs, Blobs, lists of Files and sources', async () => {
  const path = join(cacheFolder, 'b.gguf')
  await writeFile(path, weights)
  const file = new File([weights], 'c.gguf')
  const sources: [ModelSource, string][] = [
    [path, path],
    [pathToFileURL(path), path],
    [cacheFolder, `${cacheFolder}/b.gguf`],
    [file, 'c.gguf'],
    [new Blob([weights]), 'blob'],
    [[file], 'c.gguf'],
    [bytesSource('d', weights), 'd'],
    [{ 'e.gguf': bytesSource('e.gguf', weights) }, 'e.gguf'],
    [URL.createObjectURL(file), expect.stringMatching(/^blob:/)],
  ]
  for (const [source, name] of sources) {
    const found = await resolve(source)
    expect(found).toMatchObject({ kind: 'gguf', name })
    expect(await hashOf(found)).toBe(sha256Of(weights))
  }
  const inFolder = (name: string, webkitRelativePath: string) =>
    Object.defineProperty(new File([name], name), 'webkitRelativePath', { value: webkitRelativePath })
  const picked = await resolve([
    inFolder('config.json', 'model/config.json'),
    inFolder('other.json', 'model/onnx/config.json'),
    inFolder('tokenizer.json', 'model/tokenizer.json'),
  ])
  expect(new TextDecoder().decode(await bytesOf(picked, 'tokenizer.json'))).toBe('tokenizer.json')
  expect(new TextDecoder().decode(await bytesOf(picked, 'config.json'))).toBe('config.json')
})

it('refuses what is no source, by name', async () => {
  const gguf = (name: string) => new File([weights], name)
  const wrong: [unknown, SourceOptions, string][] = [
    [42, {}, 'got number'],
    [null, {}, 'got object'],
    [[gguf('a.gguf'), gguf('b.gguf')], {}, 'several .gguf files'],
    [[gguf('a.txt')], {}, 'neither a config.json nor a .gguf file'],
    ['hf:owner', {}, 'hf:owner/name'],
    ['hf:../secret', {}, 'hf:owner/name'],
    ['hf:a/b@main', { revision: 'other' }, 'names revision main'],
    [gguf('a.gguf'), { sha256: '0'.repeat(64) }, 'sha256'],
    ['hf:a/b', { store: 'disk' as 'folder' }, 'store is'],
    ['https://', {}, 'no address'],
  ]
  for (const [source, options, message] of wrong)
    await expect(resolve(source as ModelSource, options), message).rejects.toMatchObject({
      code: 'argument',
      message: expect.stringContaining(message),
    })
  await expect(resolve('hf:maker/model', { store: 'opfs', hubUrl: server.origin })).rejects.toMatchObject({
    code: 'unsupported',
  })
})

it('takes names apart', () => {
  expect(modelPlace('hf:a/b@v1/sub/c.gguf')).toEqual({ kind: 'hub', id: 'a/b', revision: 'v1', file: 'sub/c.gguf' })
  expect(modelPlace('hf:a/b')).toEqual({ kind: 'hub', id: 'a/b', revision: null, file: null })
  expect(modelPlace('models/a.gguf').kind).toBe('path')
  expect(modelPlace('C:\\models\\a.gguf').kind).toBe('path')
  expect(modelNameOf('hf:a/b')).toBe(modelNameOf('hf:a/b@main/c.gguf'))
  expect(modelNameOf('https://host/folder/')).toBe(modelNameOf('https://host/folder#part'))
  expect(['hf:a/b@main', 'https://h/x/m.gguf?download=true', 'models/m.gguf', 'a\\m.gguf'].map(shortName)).toEqual([
    'b',
    'm',
    'm',
    'm',
  ])
})

it('a lock of a process that is gone is taken over', async () => {
  const { lockFile } = await import('../store/lock-file.ts')
  const { utimes } = await import('node:fs/promises')
  const path = join(cacheFolder, 'left.lock')
  await writeFile(path, '')
  const long = new Date(Date.now() - 60_000)
  await utimes(path, long, long)
  expect(await lockFile(path, undefined, () => readFile(path, 'utf8'))).toBe('')
  await expect(readFile(path)).rejects.toThrow('ENOENT')
})
