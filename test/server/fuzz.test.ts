import { Agent, request } from 'node:http'
import { queryObjects } from 'node:v8'
import fc from 'fast-check'
import { expect, it } from 'vitest'
import { startServer } from '../../src/llm/server/index.ts'
import { type RandomRequest, randomRequest } from './random-request.ts'
import { rawConnection, readAnswer } from './raw-request.ts'
import { engineIdle } from './serve-engine.ts'
import { openTestEngine } from './test-engine.ts'

const count = 10_000
const atATime = 16
/** the same requests in every run; another number gives others */
const seed = 920758887
/** statuses that this server has for what clients do wrong */
const clientErrors = [400, 403, 404, 405, 408, 413, 431]

/** Sends a request; gives its status and text, or null when the client left before or the connection was closed. */
function send(
  port: number,
  agent: Agent,
  { method, path, headers, body, leavesAfter }: RandomRequest & { kind: 'http' },
) {
  return new Promise<{ status: number; text: string } | null>((resolve) => {
    const framed = { ...headers, 'content-length': body.length }
    const sent = request({ port, host: '127.0.0.1', agent, method, path, headers: framed }, (response) => {
      const chunks: Buffer[] = []
      response.on('data', (chunk) => chunks.push(chunk))
      response.on('close', () => {
        const whole = response.complete
        resolve(whole ? { status: response.statusCode ?? 0, text: Buffer.concat(chunks).toString() } : null)
      })
      response.on('error', () => {})
    })
    sent.on('error', () => resolve(null))
    sent.end(body)
    if (leavesAfter !== null) setTimeout(() => sent.destroy(), leavesAfter)
  })
}

/** Throws where an answer is not one of this API. */
function checkAnswer({ method, path }: RandomRequest & { kind: 'http' }, status: number, text: string): void {
  if (method === 'HEAD' || status === 204) return
  if (status === 200 && path.startsWith('/metrics')) expect(text).toContain('# TYPE fovea_')
  else if (status === 200 && text.startsWith('data: ')) expect(text.endsWith('data: [DONE]\n\n')).toBe(true)
  else if (status === 200) expect(JSON.parse(text)).toBeTypeOf('object')
  else {
    expect(clientErrors).toContain(status)
    expect(JSON.parse(text)).toMatchObject({ error: { message: expect.any(String), type: expect.any(String) } })
  }
}

/** What the process holds: handles by kind, and promises. */
function held(): Record<string, number> {
  const resources = process.getActiveResourcesInfo()
  const handles = Object.fromEntries(
    [...new Set(resources)].map((kind) => [kind, resources.filter((each) => each === kind).length]),
  )
  return { ...handles, promises: queryObjects(Promise, { format: 'count' }) as unknown as number }
}

it(`stands ${count} random requests, and keeps nothing of them`, { timeout: 600_000 }, async () => {
  const engine = await openTestEngine({ contextLength: 256 })
  const faults: unknown[] = []
  const limits = { bodyBytes: 65_536, requests: 64 }
  const server = await startServer(engine, { port: 0, limits, onError: (error) => faults.push(error) })
  const agent = new Agent({ keepAlive: true, maxSockets: atATime })
  const statuses = new Map<number, number>()

  async function one(each: RandomRequest): Promise<void> {
    if (each.kind === 'raw') {
      const socket = await rawConnection(server.port)
      const answer = readAnswer(socket)
      socket.end(each.bytes)
      await answer
      return
    }
    const answer = await send(server.port, agent, each)
    const status = answer?.status ?? 0
    statuses.set(status, (statuses.get(status) ?? 0) + 1)
    try {
      if (answer) checkAnswer(each, answer.status, answer.text)
      // a body that is cut off may cost the connection before the answer is read
      else expect(each.leavesAfter !== null || each.body.length > limits.bodyBytes).toBe(true)
    } catch (error) {
      const shown = `${each.method} ${each.path} ${JSON.stringify(each.headers)} ${Buffer.from(each.body.slice(0, 500))}`
      throw new Error(`seed ${seed}: ${shown}\ngave ${status} ${answer?.text.slice(-500)}`, { cause: error })
    }
  }
  async function run(requests: readonly RandomRequest[]): Promise<void> {
    const rest = requests[Symbol.iterator]()
    await Promise.all(
      Array.from({ length: atATime }, async () => {
        for (const each of rest) await one(each)
      }),
    )
    await engineIdle(engine)
    agent.destroy()
    // closed connections are noticed in the next turns
    await new Promise((resolve) => setTimeout(resolve, 100))
  }

  const requests = fc.sample(randomRequest(engine.name), { numRuns: count, seed })
  // what is made once is made by the first few
  await run(requests.slice(0, 500))
  const [before, statsBefore] = [held(), engine.stats()]
  await run(requests.slice(500))
  const [after, statsAfter] = [held(), engine.stats()]

  console.log(`answers by status: ${[...statuses].map(([status, n]) => `${status || 'none'} ${n}`).join(', ')}`)
  expect(faults).toEqual([])
  expect(statuses.get(200)).toBeGreaterThan(count / 30)
  expect(statuses.get(400)).toBeGreaterThan(count / 4)
  expect([statsAfter.running, statsAfter.waiting, statsAfter.pages.used]).toEqual([0, 0, 0])
  expect(statsAfter.finished.failed).toBe(0)
  expect(statsAfter.memory.allocated).toBe(statsBefore.memory.allocated)
  expect(await (await fetch(`${server.url}/metrics`)).text()).toContain('fovea_http_requests_active 0\n')
  for (const [kind, number] of Object.entries(after))
    expect(number - (before[kind] ?? 0), kind).toBeLessThanOrEqual(kind === 'promises' ? 50 : 0)

  await server.close()
  await engine.close()
})
