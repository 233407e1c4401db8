import { type EngineMeasure, engineMeasures, type MeasureSizes } from './engine-measures.ts'
import type { FoveaPeer } from './fovea-engine.ts'
import type { LlmRow } from './llm-row.ts'
import {
  type Decoded,
  loadModelPeer,
  type ModelPeer,
  type ModelSetup,
  type ModelSystem,
  type Prompt,
} from './model-peer.ts'

/** What the benchmark asks of the process that holds one system. */
export type ModelRequest =
  | { readonly kind: 'open'; readonly system: ModelSystem; readonly setup: ModelSetup }
  | { readonly kind: 'next'; readonly prompts: readonly Prompt[] }
  | { readonly kind: 'prefill'; readonly prompt: Prompt }
  | { readonly kind: 'decode'; readonly prompt: Prompt; readonly count: number }
  /** fovea alone */
  | { readonly kind: 'measure'; readonly what: EngineMeasure; readonly sizes: MeasureSizes }
  | { readonly kind: 'resident' }
  | { readonly kind: 'finish' }

export interface ModelReplies {
  readonly open: {
    readonly version: string
    /** until the model is ready for a prompt */
    readonly openMs: number
    /** resident memory when the modules were loaded and nothing else */
    readonly startBytes: number
  }
  readonly next: { readonly tokens: readonly number[] }
  readonly prefill: { readonly ms: number }
  readonly decode: Decoded
  readonly measure: { readonly rows: readonly LlmRow[] }
  /** the most resident memory so far, above that of the modules alone */
  readonly resident: { readonly bytes: number }
  readonly finish: { readonly closed: true }
}

let peer: ModelPeer | undefined
let startBytes = 0

process.on('message', async (request: ModelRequest) => {
  let reply: unknown
  try {
    reply = await answer(request)
  } catch (error) {
    reply = { error: error instanceof Error ? error.message : String(error) }
  }
  process.send?.(reply, () => {
    // some runtimes keep threads that hold the process open
    if (request.kind === 'finish') process.exit(0)
  })
})

async function answer(request: ModelRequest): Promise<ModelReplies[ModelRequest['kind']]> {
  if (request.kind === 'open') {
    const openPeer = await loadModelPeer(request.system)
    startBytes = process.memoryUsage.rss()
    const start = performance.now()
    peer = await openPeer(request.setup)
    return { version: peer.version, openMs: performance.now() - start, startBytes }
  }
  if (!peer) throw new Error(`model-process: ${request.kind} before open`)
  switch (request.kind) {
    case 'next':
      return { tokens: await peer.next(request.prompts) }
    case 'prefill':
      return { ms: await peer.prefill(request.prompt) }
    case 'decode':
      return await peer.decode(request.prompt, request.count)
    case 'measure':
      return { rows: await engineMeasures[request.what](peer as FoveaPeer, { ...request.sizes, startBytes }) }
    case 'resident':
      return { bytes: process.resourceUsage().maxRSS * 1024 - startBytes }
    case 'finish':
      await peer.close()
      return { closed: true }
    default:
      return request satisfies never
  }
}
