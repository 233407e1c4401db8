import OpenAI, {
  APIError,
  AuthenticationError,
  BadRequestError,
  InternalServerError,
  NotFoundError,
  PermissionDeniedError,
  RateLimitError,
} from 'openai'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Engine } from '../../src/llm/engine.ts'
import { collect } from './collect.ts'
import { engineBusy, engineIdle, serveEngine } from './serve-engine.ts'
import { openTestEngine } from './test-engine.ts'

let engine: Engine
let model: string
beforeAll(async () => {
  engine = await openTestEngine({ maxSequences: 2, maxQueue: 3 })
  model = engine.name
}, 60_000)
afterAll(() => engine.close())

/** The error that a promise is rejected with. */
async function errorOf(promise: Promise<unknown>): Promise<APIError> {
  const error = await promise.then(
    () => null,
    (reason: unknown) => reason,
  )
  if (!(error instanceof APIError)) throw new Error(`not an error of the API: ${error}`)
  return error
}

const user = (content: unknown) => ({ messages: [{ role: 'user', content }] })

describe('400', () => {
  const image = { type: 'image_url', image_url: { url: 'data:,' } }
  it.each<[object, string | null, string]>([
    [{ messages: undefined }, 'messages', 'missing_required_parameter'],
    [{ model: undefined }, 'model', 'missing_required_parameter'],
    [{ model: 7 }, 'model', 'invalid_type'],
    [{ messages: [] }, 'messages', 'invalid_value'],
    [{ messages: 'hello' }, 'messages', 'invalid_type'],
    [{ messages: [{ role: 'user' }] }, 'messages[0].content', 'missing_required_parameter'],
    [{ messages: [{ role: 'wizard', content: '' }] }, 'messages[0].role', 'invalid_value'],
    [{ messages: [{ role: 'tool', content: '', tool_call_id: 'a' }] }, 'messages[0].tool_call_id', 'unknown_parameter'],
    [user(7), 'messages[0].content', 'invalid_type'],
    [user([{ type: 'text', text: 'a' }, image]), 'messages[0].content[1].type', 'unsupported_parameter'],
    [user([{ type: 'text' }]), 'messages[0].content[0].text', 'missing_required_parameter'],
    [{ temperature: 2.1 }, 'temperature', 'invalid_value'],
    [{ temperature: '1' }, 'temperature', 'invalid_type'],
    [{ top_p: -0.1 }, 'top_p', 'invalid_value'],
    [{ presence_penalty: 3 }, 'presence_penalty', 'invalid_value'],
    [{ frequency_penalty: -3 }, 'frequency_penalty', 'invalid_value'],
    [{ repetition_penalty: 0 }, 'repetition_penalty', 'invalid_value'],
    [{ repetition_penalty: 1e-200 }, 'repetition_penalty', 'invalid_value'],
    [{ min_p: 2 }, 'min_p', 'invalid_value'],
    [{ top_k: 1.5 }, 'top_k', 'invalid_type'],
    [{ max_tokens: 0 }, 'max_tokens', 'invalid_value'],
    [{ max_tokens: 1.5 }, 'max_tokens', 'invalid_type'],
    [{ max_tokens: 1, max_completion_tokens: 1 }, 'max_tokens', 'invalid_value'],
    [{ n: 0 }, 'n', 'invalid_value'],
    [{ n: 17 }, 'n', 'invalid_value'],
    [{ stop: ['a', 'b', 'c', 'd', 'e'] }, 'stop', 'invalid_value'],
    [{ stop: '' }, 'stop', 'invalid_value'],
    [{ stop: [1] }, 'stop[0]', 'invalid_type'],
    [{ top_logprobs: 2 }, 'top_logprobs', 'invalid_value'],
    [{ logprobs: true, top_logprobs: 21 }, 'top_logprobs', 'invalid_value'],
    [{ logprobs: 2 }, 'logprobs', 'invalid_type'],
    [{ stream: 'yes' }, 'stream', 'invalid_type'],
    [{ stream_options: { include_usage: true } }, 'stream_options', 'invalid_value'],
    [{ stream: true, stream_options: { include: 1 } }, 'stream_options.include', 'unknown_parameter'],
    [{ tools: [{ type: 'function' }] }, 'tools', 'unsupported_parameter'],
    [{ response_format: { type: 'json_object' } }, 'response_format', 'unsupported_parameter'],
    [{ modalities: ['audio'] }, 'modalities', 'unsupported_parameter'],
    [{ logit_bias: { 50256: -100 } }, 'logit_bias', 'unsupported_parameter'],
    [{ nonsense: 1 }, 'nonsense', 'unknown_parameter'],
  ])('%j', async (change, param, code) => {
    const { client } = await serveEngine(engine)
    const request = { model, ...user('hello'), max_tokens: 1, ...change }
    const error = await errorOf(client.chat.completions.create(request as never))
    expect(error).toBeInstanceOf(BadRequestError)
    expect([error.param, error.code, error.type]).toEqual([param, code, 'invalid_request_error'])
    if (param !== null) expect(error.message).toContain(param)
  })

  it.each<[object, string | null]>([
    [{ prompt: undefined }, 'prompt'],
    [{ prompt: [] }, 'prompt'],
    [{ prompt: [[]] }, 'prompt[0]'],
    [{ prompt: ['a', 7] }, 'prompt[1]'],
    [{ prompt: [1, 'a'] }, 'prompt[1]'],
    [{ prompt: [1, -1] }, 'prompt'],
    [{ prompt: [1, 10_000_000] }, null],
    [{ prompt: new Array(17).fill('a') }, 'n'],
    [{ logprobs: 6 }, 'logprobs'],
    [{ logprobs: 1, echo: true }, 'echo'],
    [{ best_of: 2 }, 'best_of'],
    [{ suffix: 'end' }, 'suffix'],
  ])('completions: %j', async (change, param) => {
    const { client } = await serveEngine(engine)
    const error = await errorOf(client.completions.create({ model, prompt: 'a', max_tokens: 1, ...change } as never))
    expect(error).toBeInstanceOf(BadRequestError)
    expect(error.param).toBe(param)
  })

  it('says the numbers of a prompt beyond the context', async () => {
    const { client } = await serveEngine(engine)
    const tokens = new Array(engine.contextLength + 3).fill(100)
    const exceeded = async (body: object, param: string, ...numbers: number[]) => {
      const error = await errorOf(client.completions.create({ model, ...body } as never))
      expect([error.status, error.code, error.param]).toEqual([400, 'context_length_exceeded', param])
      for (const number of numbers) expect(error.message).toContain(String(number))
    }
    await exceeded({ prompt: tokens, max_tokens: 1 }, 'prompt', tokens.length, engine.contextLength)
    await exceeded({ prompt: tokens.slice(-8), max_tokens: tokens.length }, 'max_tokens', 8, tokens.length)
    const text = 'a'.repeat(16 * engine.contextLength + 1)
    await exceeded({ prompt: text, max_tokens: 1 }, 'prompt', text.length, engine.contextLength)
  })
})

describe('401 and 403', () => {
  const apiKey = 'sk-0123456789'

  it('wants the key everywhere but in /health', async () => {
    const { client, server } = await serveEngine(engine, { apiKey })
    expect((await client.completions.create({ model, prompt: 'a', max_tokens: 1 })).choices).toHaveLength(1)
    for (const wrong of ['sk-0123456788', 'sk-012345678', 'sk-01234567890', 'x']) {
      const stranger = new OpenAI({ baseURL: client.baseURL, apiKey: wrong, maxRetries: 0 })
      const error = await errorOf(stranger.models.list())
      expect(error).toBeInstanceOf(AuthenticationError)
      expect([error.code, error.message.includes(apiKey)]).toEqual(['invalid_api_key', false])
    }
    const status = async (path: string, authorization?: string) =>
      (await fetch(server.url + path, { headers: authorization === undefined ? {} : { authorization } })).status
    expect(await status('/health')).toBe(200)
    for (const path of ['/metrics', '/v1/models', '/nowhere']) expect(await status(path)).toBe(401)
    for (const header of ['', 'Bearer', 'Bearer ', `Basic ${apiKey}`, apiKey])
      expect(await status('/metrics', header)).toBe(401)
    expect(await status('/metrics', `bearer ${apiKey}`)).toBe(200)
  })

  it('refuses web pages, but those that it is told of', async () => {
    const ask = async (url: string, origin: string, method = 'POST') => {
      const body = JSON.stringify({ model, prompt: 'a', max_tokens: 1 })
      const headers = { origin, 'access-control-request-method': 'POST' }
      const response = await fetch(`${url}/v1/completions`, { method, headers, ...(method === 'POST' && { body }) })
      await response.arrayBuffer()
      return [response.status, response.headers.get('access-control-allow-origin')]
    }
    const [page, other] = ['http://localhost:3000', 'https://example.com']
    const closed = await serveEngine(engine)
    expect(await ask(closed.server.url, page)).toEqual([403, null])
    expect(await ask(closed.server.url, page, 'OPTIONS')).toEqual([403, null])
    const open = await serveEngine(engine, { allowedOrigins: [page] })
    expect(await ask(open.server.url, page)).toEqual([200, page])
    expect(await ask(open.server.url, page, 'OPTIONS')).toEqual([204, page])
    expect(await ask(open.server.url, other)).toEqual([403, null])
    const all = await serveEngine(engine, { allowedOrigins: ['*'] })
    expect(await ask(all.server.url, other)).toEqual([200, '*'])
    const browser = new OpenAI({
      baseURL: closed.client.baseURL,
      apiKey,
      defaultHeaders: { origin: other },
      maxRetries: 0,
    })
    expect(await errorOf(browser.models.list())).toBeInstanceOf(PermissionDeniedError)
  })
})

describe('404 and 405', () => {
  it('knows no other model and no other route', async () => {
    const { client, server } = await serveEngine(engine)
    const errors = [
      await errorOf(client.chat.completions.create({ model: 'gpt-5', messages: [{ role: 'user', content: 'a' }] })),
      await errorOf(client.completions.create({ model: `${model} `, prompt: 'a' })),
      await errorOf(client.models.retrieve('org/gpt-5')),
    ]
    for (const error of errors) {
      expect(error).toBeInstanceOf(NotFoundError)
      expect([error.code, error.param]).toEqual(['model_not_found', 'model'])
    }
    expect(await errorOf(client.embeddings.create({ model, input: 'a' }))).toMatchObject({
      status: 404,
      code: 'unknown_url',
    })
    for (const [method, path, allow] of [
      ['GET', '/v1/completions', 'POST'],
      ['DELETE', '/v1/models', 'GET, HEAD'],
      ['POST', '/health', 'GET, HEAD'],
    ] as const) {
      const response = await fetch(server.url + path, { method })
      expect([response.status, response.headers.get('allow')]).toEqual([405, allow])
      expect(await response.json()).toMatchObject({ error: { code: 'method_not_allowed' } })
    }
  })
})

describe('413', () => {
  it('refuses a body over the limit, and takes one at it', async () => {
    const { client } = await serveEngine(engine, { limits: { bodyBytes: 300 } })
    const body = { model, prompt: '', max_tokens: 1 }
    const room = 300 - Buffer.byteLength(JSON.stringify(body))
    const at = await client.completions.create({ ...body, prompt: 'a'.repeat(room) })
    expect(at.choices).toHaveLength(1)
    const error = await errorOf(client.completions.create({ ...body, prompt: 'a'.repeat(room + 1) }))
    expect([error.status, error.code, error.type]).toEqual([413, 'body_too_large', 'invalid_request_error'])
  })
})

describe('429', () => {
  const endless = { max_tokens: 3000, ignore_eos: true, stream: true as const, prompt: 'a' }

  it('says when to come back while the queue is full; the client does, and is served', async () => {
    const { client } = await serveEngine(engine)
    await engineIdle(engine)
    const streams = await Promise.all([0, 1, 2, 3].map(() => client.completions.create({ model, ...endless })))
    await engineBusy(engine, 4)
    // two choices are one too many: neither is kept
    const error = await errorOf(client.completions.create({ model, prompt: 'a', n: 2 }))
    expect(error).toBeInstanceOf(RateLimitError)
    expect([error.code, error.type]).toEqual(['queue_full', 'rate_limit_error'])
    expect(Number(error.headers?.get('retry-after'))).toBeGreaterThanOrEqual(1)
    await engineBusy(engine, 4)
    const patient = client
      .withOptions({ maxRetries: 2 })
      .completions.create({ model, prompt: 'a', n: 2, max_tokens: 1 })
    for (const stream of streams) stream.controller.abort()
    expect((await patient).choices).toHaveLength(2)
    await engineIdle(engine)
  })

  it('takes no more requests than it may, before it reads them', async () => {
    const { client, server } = await serveEngine(engine, { limits: { requests: 1 } })
    const stream = await client.completions.create({ model, ...endless })
    const error = await errorOf(client.completions.create({ model, prompt: 'a' }))
    expect(error).toBeInstanceOf(RateLimitError)
    expect((await fetch(`${server.url}/health`)).status).toBe(200)
    stream.controller.abort()
    await engineIdle(engine)
  })
})

describe('503', () => {
  it('ends what takes too long', async () => {
    const { client } = await serveEngine(engine, { limits: { answerMs: 100 } })
    const request = { model, prompt: 'a', max_tokens: 3000, ignore_eos: true }
    const error = await errorOf(client.completions.create(request))
    expect(error).toBeInstanceOf(InternalServerError)
    expect([error.status, error.code, error.headers?.get('x-should-retry')]).toEqual([503, 'timeout', 'false'])
    const stream = await client.completions.create({ ...request, stream: true })
    const ended = await errorOf(collect(stream))
    expect([ended.code, ended.type]).toEqual(['timeout', 'server_error'])
    await engineIdle(engine)
  })

  it('says so when the engine is closed beneath it', async () => {
    const closing = await openTestEngine()
    const { client } = await serveEngine(closing)
    const request = { model: closing.name, prompt: 'a', max_tokens: 3000, ignore_eos: true }
    const whole = errorOf(client.completions.create(request))
    const stream = await client.completions.create({ ...request, stream: true })
    await engineBusy(closing, 2)
    await closing.close({ drain: false })
    for (const error of [
      await whole,
      await errorOf(collect(stream)),
      await errorOf(client.completions.create(request)),
    ])
      expect(error.code).toBe('shutting_down')
  })
})
