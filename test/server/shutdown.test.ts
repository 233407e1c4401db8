import { networkInterfaces } from 'node:os'
import OpenAI from 'openai'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Engine } from '../../src/llm/engine.ts'
import { type Server, startServer } from '../../src/llm/server/index.ts'
import { post, rawConnection, readAnswer } from './raw-request.ts'
import { engineBusy, engineIdle, serveEngine } from './serve-engine.ts'
import { openTestEngine } from './test-engine.ts'

let engine: Engine
beforeAll(async () => {
  engine = await openTestEngine()
}, 60_000)
afterAll(() => engine.close())

const endless = { prompt: 'a', max_tokens: 3000, ignore_eos: true, temperature: 0 }

/** A server for a test that closes it. */
async function open(): Promise<{ server: Server; client: OpenAI }> {
  const server = await startServer(engine, { port: 0 })
  return { server, client: new OpenAI({ baseURL: `${server.url}/v1`, apiKey: 'none', maxRetries: 0 }) }
}

async function duration(work: Promise<unknown>): Promise<number> {
  const start = performance.now()
  await work
  return performance.now() - start
}

describe('close', () => {
  it('finishes what runs, refuses what is new, and says so in /health', async () => {
    const { server, client } = await open()
    const running = client.completions.create({ ...endless, model: engine.name, max_tokens: 60 })
    const stream = await client.completions.create({ ...endless, model: engine.name, max_tokens: 60, stream: true })
    await engineBusy(engine, 2)
    expect((await fetch(`${server.url}/health`)).status).toBe(200)
    const closed = server.close()
    expect((await fetch(`${server.url}/health`)).status).toBe(503)
    const refused = await client.completions
      .create({ prompt: 'a', model: engine.name })
      .catch((error: unknown) => error)
    expect(refused).toMatchObject({ status: 503, code: 'shutting_down' })
    let text = ''
    for await (const { choices } of stream) text += choices[0]?.text
    expect((await running).choices[0]).toMatchObject({ finish_reason: 'length', text })
    await closed
    await expect(fetch(`${server.url}/health`)).rejects.toThrow()
  })

  it.each([
    ['at once when it is not to drain', { drain: false }, 0],
    ['when the time is over', { timeoutMs: 200 }, 200],
  ])('ends what runs %s', async (_, options, least) => {
    const { server, client } = await open()
    const whole = client.completions.create({ ...endless, model: engine.name }).catch((error: unknown) => error)
    const stream = await client.completions.create({ ...endless, model: engine.name, stream: true })
    const streamed = (async () => {
      for await (const _chunk of stream);
    })().catch((error: unknown) => error)
    await engineBusy(engine, 2)
    const took = await duration(server.close(options))
    expect(took).toBeGreaterThanOrEqual(least)
    expect(took).toBeLessThan(least + 1500)
    expect(await whole).toMatchObject({ status: 503, code: 'shutting_down' })
    expect(await streamed).toMatchObject({ code: 'shutting_down' })
    await engineIdle(engine)
  })

  it('ends at once when it is told a second time', async () => {
    const { server, client } = await open()
    const whole = client.completions.create({ ...endless, model: engine.name }).catch((error: unknown) => error)
    await engineBusy(engine, 1)
    const first = server.close()
    expect(await duration(Promise.all([server.close({ drain: false }), first]))).toBeLessThan(1500)
    expect(await whole).toMatchObject({ status: 503 })
  })

  it('does not wait for clients that say nothing, send nothing or read nothing', async () => {
    const { server } = await open()
    const sockets = await Promise.all([0, 1, 2, 3].map(() => rawConnection(server.port)))
    const [, half, body, unread] = sockets
    half?.write('POST /v1/completions HTTP/1.1\r\nHost')
    body?.write(post('/v1/completions', JSON.stringify({ ...endless, model: engine.name })).slice(0, -9))
    unread?.write(post('/v1/completions', JSON.stringify({ ...endless, model: engine.name, stream: true, n: 4 })))
    await engineBusy(engine, 4)
    const ends = sockets.map((socket) => readAnswer(socket))
    expect(await duration(server.close({ timeoutMs: 100 }))).toBeLessThan(2500)
    await Promise.all(ends)
    await engineIdle(engine)
  })

  it('can be called again, and when nothing runs takes no time', async () => {
    const { server } = await open()
    await fetch(`${server.url}/health`)
    expect(await duration(Promise.all([server.close(), server.close()]))).toBeLessThan(500)
    await server.close({ drain: false })
  })
})

describe('startServer', () => {
  it.each([
    [{ port: -1 }, 'startServer: port must be a whole number from 0 to 65535, got -1'],
    [{ port: 1.5 }, 'startServer: port must be a whole number from 0 to 65535, got 1.5'],
    [{ apiKey: '' }, 'startServer: apiKey must be one word of printable ASCII characters'],
    [{ apiKey: 'a b' }, 'startServer: apiKey must be one word of printable ASCII characters'],
    [{ limits: { choices: 0 } }, 'startServer: limits.choices must be a whole number above 0, got 0'],
    [{ limits: { bodyMs: Number.NaN } }, 'startServer: limits.bodyMs must be a whole number above 0, got NaN'],
    [{ limits: { bodyByte: 1 } as object }, 'startServer: limits has no field bodyByte; did you mean bodyBytes?'],
  ])('%j is refused', async (options, message) => {
    await expect(startServer(engine, options)).rejects.toMatchObject({ code: 'argument', message })
  })

  it('says when an address is taken', async () => {
    const { server } = await serveEngine(engine)
    const again = startServer(engine, { port: server.port })
    await expect(again).rejects.toMatchObject({
      code: 'io',
      message: expect.stringContaining(`127.0.0.1:${server.port}`),
    })
  })

  it('binds to loopback when not told otherwise', async () => {
    const { server } = await serveEngine(engine)
    expect(server.url).toBe(`http://127.0.0.1:${server.port}`)
  })

  it('writes an IPv6 address as a URL does', async (context) => {
    const addresses = Object.values(networkInterfaces()).flat()
    if (!addresses.some((each) => each?.address === '::1')) context.skip('hardware: no IPv6 here')
    const { server } = await serveEngine(engine, { host: '::1' })
    expect(server.url).toBe(`http://[::1]:${server.port}`)
    expect((await fetch(`${server.url}/health`)).status).toBe(200)
  })
})
