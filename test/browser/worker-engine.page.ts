// Runs in the page: an engine of the built package in a worker, and what this thread could do meanwhile.
import type { GenerateRequest, GenerationResult, WorkerEngine, WorkerEngineOptions } from '../../src/llm/index.ts'

// not by a literal, so that types are checked before anything is built
const [llmPath]: string[] = ['fovea/llm']

const home = globalThis as { engines?: WorkerEngine[]; started?: Worker[] }

export interface OpenedInWorker {
  readonly device: string
  readonly threads: number | null
  readonly planned: number
  readonly files: readonly string[]
  /** longest time in which no timer of this thread ran, while it opened */
  readonly busyMs: number
}

/** Opens one more engine; workers that are started are noted, for the test to end them. */
export async function open(source: string, options: WorkerEngineOptions): Promise<OpenedInWorker> {
  const { openEngineInWorker } = (await import(llmPath as string)) as typeof import('../../src/llm/index.ts')
  const started: Worker[] = []
  home.started = started
  const Before = globalThis.Worker
  globalThis.Worker = class extends Before {
    constructor(...given: ConstructorParameters<typeof Before>) {
      super(...given)
      started.push(this)
    }
  }
  const files = new Set<string>()
  const watch = watchTimers()
  try {
    const engine = await openEngineInWorker(source, { ...options, onProgress: ({ file }) => files.add(file) })
    home.engines = [...(home.engines ?? []), engine]
    const { name, info } = { name: engine.device.info.name, info: engine.device.info }
    return {
      device: name,
      threads: info.threads,
      planned: engine.memory.total,
      files: [...files],
      busyMs: watch.stop(),
    }
  } finally {
    globalThis.Worker = Before
  }
}

export interface SeenGeneration {
  readonly result: Omit<GenerationResult, 'timing'>
  readonly streamed: string
  readonly prefill: readonly (readonly [number, number])[]
  readonly busyMs: number
  readonly completionTokens: number
}

/** Generates with the engine of this index; `cancelAfter` so many events by a signal. */
export async function generate(
  index: number,
  request: GenerateRequest,
  cancelAfter = Infinity,
): Promise<SeenGeneration> {
  const engine = engineOf(index)
  const stop = new AbortController()
  const watch = watchTimers()
  const generation = engine.generate({ ...request, signal: stop.signal })
  const prefill: [number, number][] = []
  generation.onPrefill = (done, total) => prefill.push([done, total])
  let streamed = ''
  let events = 0
  for await (const { text } of generation) {
    streamed += text
    if (++events === cancelAfter) stop.abort()
  }
  const { timing: _, ...result } = await generation.result
  return { result, streamed, prefill, busyMs: watch.stop(), completionTokens: engine.stats().completionTokens }
}

/** What a request is refused with. */
export async function refusal(index: number, request: GenerateRequest): Promise<Record<string, string>> {
  const error = await engineOf(index)
    .generate(request)
    .result.then(
      () => ({}),
      (cause) => cause,
    )
  const { name, code, where, message } = error
  return { name, code, where, message }
}

/** Encodes, decodes and looks at the tokens of a text. */
export async function roundTrip(index: number, text: string): Promise<readonly unknown[]> {
  const { tokenizer } = engineOf(index)
  const tokens = await tokenizer.encode(text)
  return [tokens, await tokenizer.decode(tokens), tokenizer.vocabSize > 0]
}

/** Ends the worker of the engine that was opened last, as nobody should; gives what the generation under way rejects with. */
export async function kill(request: GenerateRequest): Promise<readonly string[]> {
  const engine = engineOf((home.engines?.length ?? 0) - 1)
  const generation = engine.generate(request)
  for await (const _ of generation) {
    for (const worker of home.started ?? []) worker.terminate()
    break
  }
  const reason = (error: { code: string; message: string }) => `${error.code}: ${error.message}`
  const first = await engine.tokenizer.encode('a').then(() => 'encoded', reason)
  const second = await generation.result.then(({ finishReason }) => finishReason, reason)
  let third = 'begun'
  try {
    engine.generate(request)
  } catch (error) {
    third = reason(error as { code: string; message: string })
  }
  await engine.close()
  return [first, second, third]
}

/** Closes all; what is asked of them then is refused. */
export async function close(): Promise<string> {
  for (const engine of home.engines ?? []) await engine.close()
  try {
    engineOf(0).generate({ prompt: 'a' })
    return 'begun'
  } catch (error) {
    return (error as { code: string }).code
  } finally {
    home.engines = []
  }
}

function engineOf(index: number): WorkerEngine {
  const engine = home.engines?.[index]
  if (!engine) throw new Error(`no engine ${index} is open`)
  return engine
}

/** The longest time between two runs of a timer that is due all the time. */
function watchTimers(): { stop(): number } {
  let longest = 0
  let last = performance.now()
  const look = () => {
    longest = Math.max(longest, performance.now() - last)
    last = performance.now()
  }
  const timer = setInterval(look, 4)
  return {
    stop() {
      clearInterval(timer)
      look()
      return longest
    },
  }
}
