import type { HttpBindings } from '@hono/node-server'
import { type Context, Hono } from 'hono'
import { cors } from 'hono/cors'
import type { Engine } from '../engine.ts'
import type { ActiveRequests } from './active-requests.ts'
import { type Answering, answerChat, answerCompletion } from './answer-request.ts'
import { ApiError, toApiError } from './api-error.ts'
import { apiKeyCheck, checkOrigin } from './check-access.ts'
import { hostCheck } from './check-host.ts'
import type { Metrics } from './metrics.ts'
import { modelNotFound } from './model-not-found.ts'
import type { ServerLimits, ServerOptions } from './server-options.ts'

export interface AppParts {
  readonly engine: Engine
  readonly options: ServerOptions
  readonly limits: ServerLimits
  readonly requests: ActiveRequests
  readonly metrics: Metrics
}

/** Paths with the methods that they have; `countRequest` names others `other`. */
const routes: readonly { readonly path: string; readonly pattern: RegExp; readonly methods: readonly string[] }[] = [
  { path: '/v1/chat/completions', pattern: /^\/v1\/chat\/completions$/, methods: ['POST'] },
  { path: '/v1/completions', pattern: /^\/v1\/completions$/, methods: ['POST'] },
  { path: '/v1/models', pattern: /^\/v1\/models$/, methods: ['GET', 'HEAD'] },
  { path: '/v1/models/:id', pattern: /^\/v1\/models\/./, methods: ['GET', 'HEAD'] },
  { path: '/health', pattern: /^\/health$/, methods: ['GET', 'HEAD'] },
  { path: '/metrics', pattern: /^\/metrics$/, methods: ['GET', 'HEAD'] },
]
/** what the adapter to Node gives, where there is one */
type Env = { Bindings: Partial<HttpBindings> }

const knownMethods = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS']

/** The API as a function from Request to Response: routes, access, errors, counts. */
export async function createApp({ engine, options, limits, requests, metrics }: AppParts): Promise<Hono<Env>> {
  const origins = options.allowedOrigins ?? []
  const checkKey = options.apiKey === undefined ? null : await apiKeyCheck(options.apiKey)
  const checkHost = hostCheck(options.host ?? '127.0.0.1', options.apiKey !== undefined, options.allowedHosts ?? [])
  const onError = options.onError ?? console.error
  const created = Math.floor(Date.now() / 1000)
  const model = { id: engine.name, object: 'model', created, owned_by: 'fovea', context_length: engine.contextLength }
  const answering: Answering = { engine, limits, requests, metrics, onError }

  const hangUp = (c: Context<Env>) => () => c.env.outgoing?.destroy()

  const app = new Hono<Env>()
  app.use(async (c, next) => {
    const { method, path } = c.req
    const started = performance.now()
    await next()
    const route = routes.find(({ pattern }) => pattern.test(path))?.path ?? 'other'
    const { status } = c.res
    metrics.countRequest(route, knownMethods.includes(method) ? method : 'other', status)
    options.onRequest?.({ method, path, status, milliseconds: performance.now() - started })
  })
  if (checkHost)
    app.use(async (c, next) => {
      checkHost(c.req.raw.headers.get('host'))
      await next()
    })
  if (origins.length > 0) app.use(cors({ origin: origins.includes('*') ? '*' : [...origins], maxAge: 600 }))
  app.use(async (c, next) => {
    checkOrigin(c.req.raw.headers.get('origin'), origins)
    if (c.req.path !== '/health') await checkKey?.(c.req.raw.headers.get('authorization'))
    await next()
  })

  app.post('/v1/chat/completions', (c) => answerChat(answering, c.req.raw, hangUp(c)))
  app.post('/v1/completions', (c) => answerCompletion(answering, c.req.raw, hangUp(c)))
  app.get('/v1/models', () => Response.json({ object: 'list', data: [model] }))
  app.get('/v1/models/:id{.+}', (c) => {
    if (c.req.param('id') !== engine.name) throw modelNotFound(c.req.param('id'))
    return Response.json(model)
  })
  app.get('/health', () => {
    const { running, waiting } = engine.stats()
    const status = requests.closing ? 'shutting down' : 'ready'
    return Response.json({ status, running, waiting }, { status: requests.closing ? 503 : 200 })
  })
  app.get('/metrics', () => {
    const headers = { 'content-type': 'text/plain; version=0.0.4; charset=utf-8' }
    return new Response(metrics.render(engine, requests.count), { headers })
  })

  app.notFound((c) => {
    const { method, path } = c.req
    const methods = routes.find(({ pattern }) => pattern.test(path))?.methods
    const shown = path.slice(0, 100)
    if (!methods)
      return new ApiError(404, { message: `there is no ${method} ${shown}`, code: 'unknown_url' }).response()
    const detail = { message: `${shown} takes ${methods.join(', ')}, not ${method}`, code: 'method_not_allowed' }
    return new ApiError(405, detail, { allow: methods.join(', ') }).response()
  })
  app.onError((error) => {
    const shown = toApiError(error)
    if (shown.status === 500 && shown !== error) onError(error)
    return shown.response()
  })
  return app
}
