import { mkdtemp, rm, truncate, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import type { ByteSource } from './byte-source.ts'
import { blobSource, bytesSource, urlSource } from './byte-source.ts'
import { openFile } from './open-file.ts'

const bytes = new Uint8Array(200_000).map((_, i) => (i * 31) ^ (i >> 8))
let folder = ''
let path = ''
/** what the server does: answers ranges or not, and with which tag */
const server = { ranges: true, tag: '"1"', requests: 0, body: bytes }
const http = createServer((request, response) => {
  server.requests++
  const range = /bytes=(\d+)-(\d+)/.exec(request.headers.range ?? '')
  if (request.url === '/missing') {
    response.writeHead(404).end()
    return
  }
  if (!range || !server.ranges) {
    response.writeHead(200, { 'content-length': server.body.length }).end(server.body)
    return
  }
  const [from, to] = [Number(range[1]), Math.min(Number(range[2]), server.body.length - 1)]
  if (from > to) {
    response.writeHead(416).end()
    return
  }
  const headers = { 'content-range': `bytes ${from}-${to}/${server.body.length}`, etag: server.tag }
  response.writeHead(206, headers).end(server.body.subarray(from, to + 1))
})
let url = ''

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'fovea-source-'))
  path = join(folder, 'data.bin')
  await writeFile(path, bytes)
  await new Promise<void>((listening) => http.listen(0, '127.0.0.1', listening))
  url = `http://127.0.0.1:${(http.address() as AddressInfo).port}/data.bin`
})
afterAll(async () => {
  http.closeAllConnections()
  http.close()
  await rm(folder, { recursive: true })
})

const sources: Readonly<Record<string, () => Promise<ByteSource>>> = {
  file: () => openFile(path),
  bytes: async () => bytesSource('memory', bytes.buffer),
  blob: async () => blobSource(new Blob([bytes])),
  'server with ranges': () => urlSource(url),
  'server without ranges': async () => {
    server.ranges = false
    try {
      return await urlSource(url)
    } finally {
      server.ranges = true
    }
  },
}

it.each(Object.keys(sources))('reads any range of a %s, and no other', async (kind) => {
  const source = await sources[kind]!()
  expect(source.size).toBe(bytes.length)
  for (const [offset, length] of [
    [0, 0],
    [0, 5],
    [65530, 20],
    [199_999, 1],
    [200_000, 0],
    [0, 200_000],
  ] as const)
    expect(Buffer.compare(await source.read(offset, length), bytes.subarray(offset, offset + length))).toBe(0)
  await expect(source.read(199_999, 2)).rejects.toMatchObject({ code: 'io' })
  await expect(source.read(-1, 2)).rejects.toMatchObject({ code: 'argument' })
  await expect(source.read(0, 0.5)).rejects.toMatchObject({ code: 'argument' })
  await source.close()
})

it('asks the server for what is read, not for the file', async () => {
  server.requests = 0
  const source = await urlSource(url)
  await source.read(10, 100)
  expect(server.requests).toBe(1)
  await source.read(100_000, 100)
  expect(server.requests).toBe(2)
})

it('says that a file changed on the server', async () => {
  const source = await urlSource(url)
  server.tag = '"2"'
  await expect(source.read(100_000, 5)).rejects.toThrow('changed on the server')
  server.ranges = false
  await expect(source.read(100_000, 5)).rejects.toThrow('the server answered 200')
  server.ranges = true
})

it('opens an empty file of a server', async () => {
  server.body = new Uint8Array()
  expect((await urlSource(url)).size).toBe(0)
  server.body = bytes
})

it('names what cannot be opened or read', async () => {
  await expect(openFile(join(folder, 'none'))).rejects.toMatchObject({
    code: 'io',
    message: expect.stringContaining('none: ENOENT'),
  })
  await expect(openFile(folder)).rejects.toMatchObject({ code: 'io' })
  await expect(urlSource(url.replace('data.bin', 'missing'))).rejects.toThrow('/missing: the server answered 404')
  await expect(urlSource('http://127.0.0.1:1/')).rejects.toMatchObject({ code: 'io' })
  const cut = join(folder, 'cut.bin')
  await writeFile(cut, bytes)
  const source = await openFile(cut)
  await truncate(cut, 1000)
  await expect(source.read(900, 200)).rejects.toThrow('cut.bin was cut short: 100 of 200 bytes at 900')
  await source.close()
})
