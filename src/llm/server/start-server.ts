import { createServer } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import { getRequestListener, RequestError } from '@hono/node-server'
import { checkFields, type FieldsOf, FoveaError } from '../../tile/index.ts'
import type { Engine } from '../engine.ts'
import { ActiveRequests } from './active-requests.ts'
import { ApiError, shuttingDown, toApiError } from './api-error.ts'
import { createApp } from './app.ts'
import { answerBrokenRequests } from './broken-requests.ts'
import { Metrics } from './metrics.ts'
import { type ServerOptions, serverLimits } from './server-options.ts'

const where = 'startServer'

export interface CloseOptions {
  /** let requests under way come to their end (true), or end them with 503 */
  readonly drain?: boolean
  /** how long they may take for it, in milliseconds (30 s); then they are ended */
  readonly timeoutMs?: number
}

export interface Server {
  /** `http://127.0.0.1:8080`; a client's base URL is this with `/v1` */
  readonly url: string
  readonly port: number
  /**
   * Answers new requests with 503 while those under way end, then closes every connection. Settles at most about two
   * seconds after `timeoutMs`. A second call with `drain: false` ends what the first waits for. The engine stays open.
   */
  close(options?: CloseOptions): Promise<void>
}

/**
 * Serves an engine as an OpenAI-compatible API over HTTP: POST /v1/chat/completions and /v1/completions, GET
 * /v1/models, /health and /metrics. Throws `argument` for options out of range, `io` when the address cannot be bound.
 */
export async function startServer(engine: Engine, options: ServerOptions = {}): Promise<Server> {
  checkFields('startServer', 'options', options, fields)
  const { host = '127.0.0.1', port = 8080, apiKey } = options
  if (!Number.isInteger(port) || port < 0 || port > 65_535)
    throw new FoveaError('argument', where, `port must be a whole number from 0 to 65535, got ${port}`)
  if (apiKey !== undefined && !/^[\x21-\x7e]+$/.test(apiKey))
    throw new FoveaError('argument', where, 'apiKey must be one word of printable ASCII characters')
  const limits = serverLimits(where, options.limits ?? {}, engine.contextLength)
  const requests = new ActiveRequests(limits.requests, limits.answerMs)
  const metrics = new Metrics()
  const app = await createApp({ engine, options, limits, requests, metrics })

  const listener = getRequestListener(app.fetch, {
    hostname: 'localhost',
    overrideGlobalObjects: false,
    errorHandler(error) {
      metrics.countRequest('other', 'other', 400)
      if (error instanceof RequestError) return new ApiError(400, { message: error.message }).response()
      return toApiError(error).response()
    },
  })
  const http = createServer({ connectionsCheckingInterval: Math.min(1000, limits.headersMs, limits.bodyMs) }, listener)
  http.headersTimeout = Math.min(limits.headersMs, limits.bodyMs)
  http.requestTimeout = limits.bodyMs
  http.maxConnections = limits.connections
  answerBrokenRequests(http)
  const silent = new Set<Socket>()
  http.on('connection', (socket) => {
    silent.add(socket)
    socket.once('close', () => silent.delete(socket))
  })
  http.on('request', ({ socket }) => silent.delete(socket))
  await new Promise<void>((resolve, reject) => {
    http.once('error', (error) =>
      reject(new FoveaError('io', where, `cannot listen on ${host}:${port}: ${error.message}`, { cause: error })),
    )
    http.listen(port, host, resolve)
  })
  const address = http.address() as AddressInfo
  const shownHost = address.family === 'IPv6' ? `[${address.address}]` : address.address

  let endNow = () => {}
  const forced = new Promise<void>((resolve) => {
    endNow = resolve
  })
  let closed: Promise<void> | null = null
  const shutDown = async (timeoutMs: number) => {
    requests.refuse()
    await within(timeoutMs, Promise.race([requests.idle(), forced]))
    requests.abortAll(shuttingDown())
    await within(1000, requests.idle())
    const ended = new Promise<void>((resolve) => http.close(() => resolve()))
    // a connection counts as busy until its last answer is written
    const sweep = setInterval(() => http.closeIdleConnections(), 10)
    // a connection that has not asked for anything yet does not count as idle
    for (const socket of silent) socket.destroy()
    await within(1000, ended)
    clearInterval(sweep)
    http.closeAllConnections()
    await ended
  }
  return {
    url: `http://${shownHost}:${address.port}`,
    port: address.port,
    async close(options = {}) {
      checkFields('server.close', 'options', options, closeFields)
      const { drain = true, timeoutMs = 30_000 } = options
      if (!drain) endNow()
      closed ??= shutDown(timeoutMs)
      return closed
    },
  }
}

/** Waits for a promise, at most so long; no timer is left behind. */
async function within(milliseconds: number, promise: Promise<void>): Promise<void> {
  let timer: ReturnType<typeof setTimeout> | undefined
  const over = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, milliseconds)
  })
  await Promise.race([promise, over])
  clearTimeout(timer)
}

const fields: FieldsOf<ServerOptions> = {
  host: true,
  port: true,
  apiKey: true,
  allowedOrigins: true,
  allowedHosts: true,
  limits: true,
  onRequest: true,
  onError: true,
}

const closeFields: FieldsOf<CloseOptions> = { drain: true, timeoutMs: true }
