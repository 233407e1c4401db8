import { readFile } from 'node:fs/promises'
import { FoveaError } from '../ir/error.ts'
import type { MemoryPlan } from '../llm/index.ts'
import { openEngine } from '../llm/open-engine.ts'
import { type RequestEntry, type Server, startServer } from '../llm/server/index.ts'
import { type Command, parseCommand, wholeNumber } from './command.ts'
import { megabytes } from './generation-report.ts'
import { modelHelp, modelOptions, readModelOptions } from './model-options.ts'

const where = 'fovea serve'
const loopback = ['127.0.0.1', '::1', 'localhost']

export const serveCommand: Command = {
  help: [
    'usage: fovea serve --model M [options]',
    '',
    'Serves a model as an OpenAI-compatible API: /v1/chat/completions, /v1/completions, /v1/models, /health, /metrics.',
    'SIGINT or SIGTERM refuses what is new and finishes what runs; a second one ends at once.',
    '',
    ...modelHelp,
    '  --name NAME         name that clients ask for (the last part of the path of the model)',
    '  --host ADDRESS      address to bind (127.0.0.1)',
    '  --port N            0 for any free one (8080)',
    '  --api-key-file PATH the key that clients must send is in this file (none needed)',
    '  --allow-origin URL  a web page that may use the server, or *; may be given several times (none)',
    '  --allowed-host NAME a name besides localhost to which a server without a key answers, or *; several times (none)',
    '  --max-queue N       most generations that wait; more get 429 (64)',
    '  --max-body N        most bytes of a request',
    '  --request-timeout N seconds until a request must be answered (600)',
    '  --drain N           seconds that requests may take to end when the server is told to (30)',
    '  --log               a line on the standard error for each request',
  ].join('\n'),
  async run(args) {
    const { values } = parseCommand('serve', args, {
      ...modelOptions,
      name: { type: 'string' },
      host: { type: 'string', default: '127.0.0.1' },
      port: { type: 'string', default: '8080' },
      'api-key-file': { type: 'string' },
      'allow-origin': { type: 'string', multiple: true, default: [] },
      'allowed-host': { type: 'string', multiple: true, default: [] },
      'max-queue': { type: 'string', default: '64' },
      'max-body': { type: 'string' },
      'request-timeout': { type: 'string', default: '600' },
      drain: { type: 'string', default: '30' },
      log: { type: 'boolean', default: false },
    })
    const port = wholeNumber('serve', '--port', values.port, 0)
    const answerMs = 1000 * wholeNumber('serve', '--request-timeout', values['request-timeout'])
    const drainMs = 1000 * wholeNumber('serve', '--drain', values.drain, 0)
    const maxQueue = wholeNumber('serve', '--max-queue', values['max-queue'], 0)
    const maxBody =
      values['max-body'] === undefined ? {} : { bodyBytes: wholeNumber('serve', '--max-body', values['max-body']) }
    const apiKey = values['api-key-file'] === undefined ? undefined : await readKey(values['api-key-file'])
    const { model, options } = await readModelOptions('serve', values)
    const engine = await openEngine(model, { ...options, maxQueue, ...(values.name && { name: values.name }) })
    try {
      const server = await startServer(engine, {
        host: values.host,
        port,
        allowedOrigins: values['allow-origin'],
        allowedHosts: values['allowed-host'],
        // more than the engine takes: it has the last word, and says it in its numbers
        limits: { answerMs, requests: engine.memory.maxSequences + maxQueue + 16, ...maxBody },
        ...(apiKey !== undefined && { apiKey }),
        ...(values.log && { onRequest: logLine }),
      })
      if (apiKey === undefined && !loopback.includes(values.host))
        process.stderr.write(`${where}: others can reach ${values.host}, and no key is needed (--api-key-file)\n`)
      console.log(`${server.url}/v1 serves ${engine.name}`)
      console.log(memoryLine(engine.memory))
      await untilTold(server, drainMs)
    } finally {
      await engine.close()
    }
  },
}

async function readKey(path: string): Promise<string> {
  const text = await readFile(path, 'utf8').catch((cause: Error) => {
    throw new FoveaError('io', where, `--api-key-file: ${cause.message}`, { cause })
  })
  return text.trim()
}

/** Resolves when a signal came and the server has closed; a second signal ends the process. */
async function untilTold(server: Server, timeoutMs: number): Promise<void> {
  const signals = ['SIGINT', 'SIGTERM'] as const
  let told = false
  await new Promise<void>((resolve) => {
    for (const signal of signals)
      process.on(signal, () => {
        if (told) process.exit(1)
        told = true
        process.stderr.write(`${where}: finishing what runs; a second ${signal} ends at once\n`)
        resolve()
      })
  })
  await server.close({ timeoutMs })
}

function memoryLine(plan: MemoryPlan): string {
  const parts = (['weights', 'cache', 'workspace', 'draft'] as const).filter((part) => plan[part] > 0)
  const { total, contextLength, cacheTokens, maxSequences } = plan
  const holds = `context ${contextLength} tokens, cache ${cacheTokens}, ${maxSequences} sequences at once`
  return `memory ${megabytes(total)}: ${parts.map((part) => `${part} ${megabytes(plan[part])}`).join(', ')}; ${holds}`
}

function logLine({ method, path, status, milliseconds }: RequestEntry): void {
  process.stderr.write(`${new Date().toISOString()} ${method} ${path} ${status} ${milliseconds.toFixed(1)} ms\n`)
}
