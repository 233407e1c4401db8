import { createHash } from 'node:crypto'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

/** A server of model files over real HTTP on the loopback, that misbehaves as it is told to while it runs. */
export interface ModelServer {
  readonly origin: string
  readonly requests: { readonly method: string; readonly path: string; readonly range: string | undefined }[]
  /** by path: "/folder/model.gguf"; those of "/owner/name/…" are a model of the Hub's interface as well */
  files: Record<string, Uint8Array>
  /** whether it answers ranges */
  ranges: boolean
  /** whether it says by ETag and date which content it has */
  versions: boolean
  /** bytes of a body after which the connection breaks */
  cutAfter: number
  /** whether broken connections break once only */
  cutOnce: boolean
  /** milliseconds between pieces of 64 KiB of a body */
  pauseMs: number
  /** methods that are refused with 403 */
  refusedMethods: readonly string[]
  /** whether the Hub's interface announces other hashes than the files have */
  wrongHash: boolean
  close(): Promise<void>
}

/** Starts it on a free port; pages of any origin may read it. */
export async function startModelServer(files: Record<string, Uint8Array>): Promise<ModelServer> {
  const http = createServer(
    (request, response) => void answer(server, request, response).catch(() => response.destroy()),
  )
  await new Promise<void>((resolve) => http.listen(0, '127.0.0.1', resolve))
  const server: ModelServer = {
    origin: `http://127.0.0.1:${(http.address() as AddressInfo).port}`,
    requests: [],
    files,
    ranges: true,
    versions: true,
    cutAfter: Number.POSITIVE_INFINITY,
    cutOnce: false,
    pauseMs: 0,
    refusedMethods: [],
    wrongHash: false,
    close: () =>
      new Promise((resolve) => {
        http.close(() => resolve())
        http.closeAllConnections()
      }),
  }
  return server
}

async function answer(server: ModelServer, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const path = decodeURIComponent(new URL(request.url ?? '/', 'http://server').pathname)
  const { method = 'GET' } = request
  const { range } = request.headers
  server.requests.push({ method, path, range })
  response.setHeader('access-control-allow-origin', '*')
  response.setHeader('cross-origin-resource-policy', 'cross-origin')
  response.setHeader('access-control-expose-headers', 'etag, content-range, link')
  if (server.refusedMethods.includes(method)) return void response.writeHead(403).end()
  const [, id] = /^\/api\/models\/([^/]+\/[^/]+)\/tree\//.exec(path) ?? []
  if (id !== undefined) return void list(server, id, response)
  const bytes = server.files[path.replace(/\/resolve\/[^/]+\//, '/')]
  if (!bytes) return void response.writeHead(404).end('no such file')
  if (server.versions) {
    response.setHeader('etag', `"${hex('sha256', bytes).slice(0, 20)}"`)
    response.setHeader('last-modified', new Date(1_700_000_000_000 + bytes.byteLength * 1000).toUTCString())
  }
  const [, first] = (server.ranges && /^bytes=(\d+)-/.exec(range ?? '')) || []
  const from = Number(first ?? 0)
  if (first !== undefined && from >= bytes.byteLength)
    return void response.writeHead(416, { 'content-range': `bytes */${bytes.byteLength}` }).end()
  const body = bytes.subarray(from)
  response.writeHead(first === undefined ? 200 : 206, {
    'content-length': body.byteLength,
    ...(first !== undefined && { 'content-range': `bytes ${from}-${bytes.byteLength - 1}/${bytes.byteLength}` }),
  })
  if (method === 'HEAD') return void response.end()
  await send(server, body, response)
}

async function send(server: ModelServer, body: Uint8Array, response: ServerResponse): Promise<void> {
  const piece = 65536
  for (let at = 0; at < body.byteLength && !response.destroyed; at += piece) {
    const end = Math.min(at + piece, body.byteLength, server.cutAfter)
    await new Promise((resolve) => response.write(body.subarray(at, end), resolve))
    if (end === server.cutAfter) {
      if (server.cutOnce) server.cutAfter = Number.POSITIVE_INFINITY
      await new Promise((resolve) => setTimeout(resolve, 20))
      return void response.destroy()
    }
    if (server.pauseMs > 0) await new Promise((resolve) => setTimeout(resolve, server.pauseMs))
  }
  response.end()
}

function list(server: ModelServer, id: string, response: ServerResponse): void {
  const folder = `/${id}/`
  const entries = Object.entries(server.files).filter(([path]) => path.startsWith(folder))
  if (entries.length === 0) return void response.writeHead(404).end('{"error":"Repository not found"}')
  const files = entries.map(([path, bytes]) => {
    const content = server.wrongHash ? new Uint8Array(1) : bytes
    const large = /\.(safetensors|gguf)$/.test(path)
    const oid = hex('sha1', new TextEncoder().encode(`blob ${content.byteLength}\0`), content)
    const lfs = { oid: hex('sha256', content), size: bytes.byteLength, pointerSize: 130 }
    return { type: 'file', path: path.slice(folder.length), size: bytes.byteLength, oid, ...(large && { lfs }) }
  })
  response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(files))
}

function hex(algorithm: string, ...parts: readonly Uint8Array[]): string {
  const hash = createHash(algorithm)
  for (const part of parts) hash.update(part)
  return hash.digest('hex')
}
