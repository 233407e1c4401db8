import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Engine } from '../../src/llm/engine.ts'
import { post, type RawAnswer, rawConnection, rawRequest, readAnswer } from './raw-request.ts'
import { engineBusy, engineIdle, serveEngine } from './serve-engine.ts'
import { openTestEngine } from './test-engine.ts'

let engine: Engine
beforeAll(async () => {
  engine = await openTestEngine({ maxSequences: 2, maxQueue: 300, contextLength: 8192 })
}, 60_000)
afterAll(() => engine.close())

const close = 'Connection: close'
const completions = '/v1/completions'
const ask = (change: object = {}) => JSON.stringify({ model: engine.name, prompt: 'a', max_tokens: 1, ...change })
const endless = (change: object = {}) => ask({ max_tokens: 3000, ignore_eos: true, ...change })

function expectError({ status, text, headers }: RawAnswer, expected: number, code: string): void {
  expect(headers['content-type']).toBe('application/json')
  expect(JSON.parse(text)).toMatchObject({ error: { code, message: expect.any(String), type: expect.any(String) } })
  expect(status).toBe(expected)
}

describe('bodies', () => {
  it.each([
    ['nothing', ''],
    ['half an object', '{"model":'],
    ['a trailing comma', '{"model":"a",}'],
    ['no JSON', '<xml/>'],
    ['not UTF-8', Buffer.from([0x22, 0xff, 0xfe, 0x22]).toString('latin1')],
  ])('%s is 400', async (_, body) => {
    const { server } = await serveEngine(engine)
    const bytes = Buffer.from(body, 'latin1')
    const head = `POST ${completions} HTTP/1.1\r\nHost: localhost\r\n${close}\r\nContent-Length: ${bytes.length}\r\n\r\n`
    expectError(await rawRequest(server.port, head, bytes), 400, 'invalid_json')
  })

  it.each(['null', '7', '"text"', '[]', '[{}]'])('%s is no object', async (body) => {
    const { server } = await serveEngine(engine)
    expectError(await rawRequest(server.port, post(completions, body, close)), 400, 'invalid_type')
  })

  it('takes deep nesting and odd names for what they are', async () => {
    const { server } = await serveEngine(engine)
    const deep = `${'['.repeat(500_000)}${']'.repeat(500_000)}`
    const bodies = [`{"model":${deep}}`, `{"prompt":${deep},"model":"${engine.name}"}`]
    for (const body of bodies)
      expectError(await rawRequest(server.port, post(completions, body, close)), 400, 'invalid_type')
    for (const name of ['__proto__', 'constructor', 'toString', ''])
      expectError(
        await rawRequest(server.port, post(completions, `{"${name}":{"model":1}}`, close)),
        400,
        'unknown_parameter',
      )
  })

  it('answers text with halves of characters in it', async () => {
    const { server } = await serveEngine(engine)
    const answer = await rawRequest(server.port, post(completions, ask({ prompt: 'a\ud800b' }), close))
    expect(answer.status).toBe(200)
  })

  it('cuts a huge body off, announced or not, and holds none of it', async () => {
    const { server } = await serveEngine(engine, { limits: { bodyBytes: 100_000 } })
    const head = `POST ${completions} HTTP/1.1\r\nHost: localhost\r\n`
    expectError(await rawRequest(server.port, `${head}Content-Length: 1000000000\r\n\r\n{`), 413, 'body_too_large')
    const chunk = `10000\r\n${' '.repeat(0x10000)}\r\n`
    const before = process.memoryUsage.rss()
    const socket = await rawConnection(server.port)
    const answer = readAnswer(socket)
    socket.write(`${head}Transfer-Encoding: chunked\r\n\r\n`)
    let sent = 0
    // until the server closes: it may read on for a while, so that its answer is not lost
    while (!socket.destroyed && sent < 2000) {
      sent++
      if (!socket.write(chunk)) await Promise.race([new Promise((resolve) => socket.once('drain', resolve)), answer])
    }
    expectError(await answer, 413, 'body_too_large')
    expect(sent).toBeLessThan(2000)
    expect(process.memoryUsage.rss() - before).toBeLessThan(120_000_000)
  })
})

describe('slow clients', () => {
  const limits = { headersMs: 150, bodyMs: 300 }

  it('does not wait for headers or a body that do not come', async () => {
    const { server } = await serveEngine(engine, { limits })
    const head = `POST ${completions} HTTP/1.1\r\nHost: localhost\r\n`
    const slow = [
      head,
      `${head}Content-Length: 50\r\n\r\n{"mod`,
      `${head}Transfer-Encoding: chunked\r\n\r\n5\r\n{"mod\r\n`,
    ]
    const answers = await Promise.all(slow.map((text) => rawRequest(server.port, text)))
    for (const answer of answers) expectError(answer, 408, 'request_timeout')
    // and nothing of them is left
    expect(await (await fetch(`${server.url}/metrics`)).text()).toContain('fovea_http_requests_active 0')
  })

  it('is not kept by a client that sends a byte now and then', async () => {
    const { server } = await serveEngine(engine, { limits })
    const socket = await rawConnection(server.port)
    const answer = readAnswer(socket)
    const drip = setInterval(() => socket.write('a'), 20)
    socket.write('GET /health HTTP/1.1\r\nX-Slow: ')
    expectError(await answer, 408, 'request_timeout')
    clearInterval(drip)
  })

  it('writes no further than a client reads, and hangs up when it does not read at all', async () => {
    const n = 300
    const { server } = await serveEngine(engine, { limits: { stallMs: 300, choices: n } })
    const { tokenizer, contextLength } = engine
    const lengths = Array.from({ length: tokenizer.vocabSize }, (_, i) => JSON.stringify(tokenizer.decode([i])).length)
    const longest = lengths.indexOf(Math.max(...lengths))
    const prompt = new Array<number>(contextLength - 3000).fill(longest)
    const cancelled = engine.stats().finished.cancelled
    const socket = await rawConnection(server.port)
    socket.write(post(completions, ask({ prompt, n, echo: true, stream: true, max_tokens: 3000, ignore_eos: true })))
    await engineBusy(engine, n)
    await engineIdle(engine)
    expect(engine.stats().finished.cancelled - cancelled).toBe(n)
    const { status, text } = await readAnswer(socket)
    expect(status).toBe(200)
    // more than what lies in buffers between them, which the client may still read
    expect(text.length).toBeLessThan((n * prompt.length * (lengths[longest] ?? 0)) / 2)
  })
})

describe('vanished clients', () => {
  it.each([
    ['running', 1],
    ['in the queue', 5],
  ])('%s: the generation ends', async (_, count) => {
    const { server } = await serveEngine(engine)
    const cancelled = engine.stats().finished.cancelled
    const sockets = await Promise.all(Array.from({ length: count }, () => rawConnection(server.port)))
    for (const [i, socket] of sockets.entries()) socket.write(post(completions, endless({ stream: i % 2 === 0 })))
    await engineBusy(engine, count)
    // some say good-bye, others do not
    for (const [i, socket] of sockets.reverse().entries()) i % 2 === 0 ? socket.destroy() : socket.resetAndDestroy()
    await engineIdle(engine)
    expect(engine.stats().finished.cancelled - cancelled).toBe(count)
    expect(engine.stats().pages.used).toBe(0)
  })

  it('takes a half-closed connection for a client that has gone', async () => {
    const { server } = await serveEngine(engine)
    const socket = await rawConnection(server.port)
    socket.write(post(completions, endless()))
    await engineBusy(engine, 1)
    const answer = readAnswer(socket)
    socket.end()
    expect((await answer).status).toBe(0)
    await engineIdle(engine)
  })

  it('forgets a request whose body never came whole', async () => {
    const { server } = await serveEngine(engine)
    const socket = await rawConnection(server.port)
    const active = async () => /requests_active (\d+)/.exec(await (await fetch(`${server.url}/metrics`)).text())?.[1]
    socket.write(post(completions, ask()).slice(0, -5))
    while ((await active()) !== '1') await new Promise((resolve) => setTimeout(resolve, 5))
    socket.destroy()
    while ((await active()) !== '0') await new Promise((resolve) => setTimeout(resolve, 5))
  })
})

describe('what is no request', () => {
  it.each([
    ['no HTTP', 'hello\r\n\r\n', 400, 'invalid_http'],
    ['TLS', Buffer.from('160301020001', 'hex').toString('latin1'), 400, 'invalid_http'],
    ['headers too large', `GET /health HTTP/1.1\r\nX: ${'a'.repeat(40_000)}\r\n\r\n`, 431, 'headers_too_large'],
    [
      'two lengths',
      `POST ${completions} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n{}`,
      400,
      'invalid_http',
    ],
  ])('%s', async (_, text, status, code) => {
    const { server } = await serveEngine(engine)
    expectError(await rawRequest(server.port, Buffer.from(text, 'latin1')), status, code)
  })

  it.each([
    'GET //%zz HTTP/1.1\r\nHost: localhost',
    'GET /v1/models/%ff HTTP/1.1\r\nHost: localhost',
    'GET /health HTTP/1.1\r\nHost: a b',
    'GET http:// HTTP/1.1\r\nHost: localhost',
    'OPTIONS * HTTP/1.1\r\nHost: localhost',
    'TRACE /health HTTP/1.1\r\nHost: localhost',
    'BREW /health HTTP/1.1\r\nHost: localhost',
  ])('%s is an error of the client', async (head) => {
    const { server } = await serveEngine(engine)
    const { status, text } = await rawRequest(server.port, `${head}\r\n${close}\r\n\r\n`)
    expect([400, 404, 405]).toContain(status)
    expect(JSON.parse(text).error.message).toBeTypeOf('string')
  })

  it('answers pipelined requests in order, and breaks off where garbage follows a stream', async () => {
    const { server } = await serveEngine(engine)
    const two = post(completions, ask({ echo: true })) + post(completions, ask({ prompt: 'b', echo: true }), close)
    const { text } = await rawRequest(server.port, two)
    expect(text.indexOf('"text":"a')).toBeGreaterThan(0)
    expect(text.indexOf('"text":"b')).toBeGreaterThan(text.indexOf('"text":"a'))
    const broken = await rawRequest(server.port, post(completions, endless({ stream: true })), 'garbage\r\n\r\n')
    expect(broken.text).not.toContain('HTTP/1.1 400')
    await engineIdle(engine)
  })
})

describe('the Host of a request', () => {
  const health = (host: string | null) =>
    `GET /v1/models HTTP/1.1\r\n${host === null ? '' : `Host: ${host}\r\n`}${close}\r\n\r\n`
  const refused = [
    'evil.example',
    'evil.example:80',
    'localhost.evil.example',
    '127.0.0.1.evil.example',
    '[::2]',
    '0.0.0.0',
  ]

  it('is that of a loopback server without a key', async () => {
    const { server } = await serveEngine(engine)
    for (const host of [
      'localhost',
      'LOCALHOST.',
      `localhost:${server.port}`,
      '127.0.0.1:1',
      '[::1]',
      `[::1]:${server.port}`,
    ])
      expect((await rawRequest(server.port, health(host))).status, host).toBe(200)
    for (const host of refused) expectError(await rawRequest(server.port, health(host)), 403, 'host_not_allowed')
    const elsewhere = post(completions, ask(), close).replace('Host: localhost', 'Host: evil.example')
    expectError(await rawRequest(server.port, elsewhere), 403, 'host_not_allowed')
    expect(engine.stats()).toMatchObject({ running: 0, waiting: 0 })
    // HTTP/1.1 wants one
    expect((await rawRequest(server.port, health(null))).status).toBe(400)
  })

  it('may be one that the owner allows', async () => {
    const { server } = await serveEngine(engine, { allowedHosts: ['box.local'] })
    expect((await rawRequest(server.port, health('Box.Local:8080'))).status).toBe(200)
    expectError(await rawRequest(server.port, health('evil.example')), 403, 'host_not_allowed')
    const { server: open } = await serveEngine(engine, { allowedHosts: ['*'] })
    expect((await rawRequest(open.port, health('evil.example'))).status).toBe(200)
  })

  it('is anything where a key is asked for', async () => {
    const { server } = await serveEngine(engine, { apiKey: 'secret' })
    expect((await rawRequest(server.port, health('evil.example'))).status).toBe(401)
    const withKey = health('evil.example').replace(close, `Authorization: Bearer secret\r\n${close}`)
    expect((await rawRequest(server.port, withKey)).status).toBe(200)
  })
})
