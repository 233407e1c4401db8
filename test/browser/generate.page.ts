// Runs in the page: the built package, by the names that a user writes, on a model that comes by fetch.
import type { DeviceKind } from '../../src/device/index.ts'
import type { EngineOptions, FinishReason, GenerateRequest, LocalEngine } from '../../src/llm/index.ts'

// not by literals, so that types are checked before anything is built
const [devicePath, modelPath, llmPath]: string[] = ['fovea/device', 'fovea/model', 'fovea/llm']

export interface OpenedEngine {
  readonly device: string
  readonly threads: number | null
  readonly isolated: boolean
  readonly processors: number
  readonly planned: number
  readonly allocated: number
}

export interface ObservedGeneration {
  readonly text: string
  readonly tokens: readonly number[]
  readonly finishReason: FinishReason
  readonly cachedTokens: number
  /** texts of the events, joined */
  readonly streamed: string
  /** steps that the engine had run when each event was read */
  readonly steps: readonly number[]
  /** what `onPrefill` was told */
  readonly prefill: readonly (readonly [done: number, total: number])[]
  /** pages in use when it had ended */
  readonly pagesUsed: number
}

const home = globalThis as { engine?: LocalEngine }

/** Fetches a .gguf file and opens it on a device of this page; the engine before is closed. */
export async function open(url: string, kind: DeviceKind, options: EngineOptions): Promise<OpenedEngine> {
  const { openDevice } = (await import(devicePath as string)) as typeof import('../../src/device/index.ts')
  const { bytesSource, openCheckpointFromSources } = (await import(
    modelPath as string
  )) as typeof import('../../src/model/index.ts')
  const { openEngine, planEngine } = (await import(llmPath as string)) as typeof import('../../src/llm/index.ts')
  await close()
  const response = await fetch(url)
  if (!response.ok) throw new Error(`open: ${url} was not served (${response.status})`)
  const checkpoint = await openCheckpointFromSources(bytesSource(url, await response.arrayBuffer()))
  const device = await openDevice(kind)
  const { total } = planEngine(device, checkpoint, options).memory
  const engine = await openEngine(checkpoint, { ...options, device })
  home.engine = engine
  return {
    device: device.info.name,
    threads: device.info.threads,
    isolated: crossOriginIsolated,
    processors: navigator.hardwareConcurrency,
    planned: total,
    allocated: device.memory.allocated,
  }
}

/** Generates and says what was seen on the way; `cancelAfter` so many events a timer of the page cancels it. */
export async function generate(request: GenerateRequest, cancelAfter = Infinity): Promise<ObservedGeneration> {
  const { engine } = home
  if (!engine) throw new Error('generate: no engine is open')
  const generation = engine.generate(request)
  const prefill: [number, number][] = []
  generation.onPrefill = (done, total) => prefill.push([done, total])
  const steps: number[] = []
  let streamed = ''
  for await (const event of generation) {
    streamed += event.text
    steps.push(engine.stats().steps)
    if (steps.length === cancelAfter) setTimeout(() => generation.cancel(), 0)
  }
  const { text, tokens, finishReason, usage } = await generation.result
  return {
    text,
    tokens,
    finishReason,
    cachedTokens: usage.cachedTokens,
    streamed,
    steps,
    prefill,
    pagesUsed: engine.stats().pages.used,
  }
}

/** Closes the engine that is open. */
export async function close(): Promise<void> {
  await home.engine?.close()
  delete home.engine
}
