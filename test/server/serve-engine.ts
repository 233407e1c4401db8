import OpenAI from 'openai'
import { onTestFinished } from 'vitest'
import type { Engine } from '../../src/llm/engine.ts'
import { type Server, type ServerOptions, startServer } from '../../src/llm/server/index.ts'

export interface Served {
  readonly server: Server
  readonly engine: Engine
  readonly client: OpenAI
}

/** A server on a free port of this machine, closed when the test ends, and the official client, which tries once. */
export async function serveEngine(engine: Engine, options: ServerOptions = {}): Promise<Served> {
  const server = await startServer(engine, { port: 0, ...options })
  onTestFinished(() => server.close({ drain: false }))
  const client = new OpenAI({ baseURL: `${server.url}/v1`, apiKey: options.apiKey ?? 'none', maxRetries: 0 })
  return { server, engine, client }
}

/** Waits until so many generations are running or waiting; throws after 30 seconds. */
export async function engineBusy(engine: Engine, count: number): Promise<void> {
  const deadline = performance.now() + 30_000
  for (;;) {
    const { running, waiting } = engine.stats()
    if (running + waiting === count) return
    if (performance.now() > deadline) throw new Error(`${running} running and ${waiting} waiting, not ${count} in all`)
    await new Promise((resolve) => setTimeout(resolve, 2))
  }
}

/** Waits until the engine has nothing to do; throws after 30 seconds. */
export function engineIdle(engine: Engine): Promise<void> {
  return engineBusy(engine, 0)
}
