import type { ByteSource } from '../../model/files/byte-source.ts'
import type { ModelSource } from '../../model/source/resolve-model-source.ts'
import type { Generation, GenerationEvent } from '../generation.ts'
import type { LocalEngine } from '../local-engine.ts'
import { openEngine } from '../open-engine.ts'
import type { FromWorker, RemoteSource, SourceMessage, ToWorker } from './engine-messages.ts'
import { errorMessage, errorOf } from './error-message.ts'

/** How a worker talks to the thread that started it. */
export type Post = (message: FromWorker) => void

/**
 * An engine behind messages: gives the function that takes those of the other thread. What is asked of it before it is open
 * is not asked: the other side waits for `opened`.
 */
export function serveEngine(post: Post): (message: ToWorker) => void {
  const opening = new AbortController()
  const reads = new Map<number, { resolve(bytes: Uint8Array): void; reject(error: unknown): void }>()
  const generations = new Map<number, { cancel(): void; more(): void }>()
  let engine: LocalEngine | null = null
  let lastRead = 0

  const remote = ({ index, name, size }: RemoteSource): ByteSource => ({
    name,
    size,
    read: (offset, length) =>
      new Promise((resolve, reject) => {
        const id = ++lastRead
        reads.set(id, { resolve, reject })
        post({ type: 'read', id, index, offset, length })
      }),
    close: async () => post({ type: 'closeSource', index }),
  })
  const sourceOf = (told: SourceMessage): ModelSource => {
    if (told.kind === 'cloned') return told.source
    if (told.kind === 'source') return remote(told.source)
    return Object.fromEntries(Object.entries(told.sources).map(([name, source]) => [name, remote(source)]))
  }
  const open = async ({ source, draft, options }: Extract<ToWorker, { type: 'open' }>) => {
    try {
      engine = await openEngine(sourceOf(source), {
        ...options,
        ...(draft && { draftModel: { model: sourceOf(draft.source), tokens: draft.tokens } }),
        signal: opening.signal,
        onProgress: (progress) => post({ type: 'progress', progress }),
      })
      post({ type: 'opened', facts: factsOf(engine) })
    } catch (error) {
      post({ type: 'failed', error: errorMessage(error) })
    }
  }
  const close = async (drain: boolean) => {
    try {
      await engine?.close({ drain })
    } finally {
      post({ type: 'closed', stats: engine?.stats() ?? null })
    }
  }

  return (message) => {
    switch (message.type) {
      case 'open':
        return void open(message)
      case 'abort':
        return opening.abort()
      case 'bytes': {
        const { id, bytes, error } = message
        if (bytes) reads.get(id)?.resolve(bytes)
        else reads.get(id)?.reject(error && errorOf(error))
        return void reads.delete(id)
      }
      case 'generate': {
        const { id, request } = message
        const stats = () => (engine as LocalEngine).stats()
        try {
          const generation = (engine as LocalEngine).generate(request)
          const feed = feedOf(id, generation, post, stats)
          generations.set(id, { cancel: () => generation.cancel(), more: feed.more })
          void feed.ended.finally(() => generations.delete(id))
        } catch (error) {
          post({ type: 'events', id, events: [], prefill: null, stats: stats(), end: { error: errorMessage(error) } })
        }
        return
      }
      case 'cancel':
        return generations.get(message.id)?.cancel()
      case 'more':
        return generations.get(message.id)?.more()
      case 'call': {
        const { id, method, args } = message
        try {
          const { tokenizer } = engine as LocalEngine
          const value = (tokenizer[method] as (...given: readonly unknown[]) => unknown)(...args)
          post({ type: 'answer', id, value, error: null })
        } catch (error) {
          post({ type: 'answer', id, value: null, error: errorMessage(error) })
        }
        return
      }
      case 'close':
        return void close(message.drain)
      default:
        message satisfies never
    }
  }
}

function factsOf(engine: LocalEngine) {
  const { name, contextLength, memory, device, tokenizer } = engine
  const { vocabSize, bosToken, eosTokens, hasChatTemplate, chatTemplate } = tokenizer
  const template = chatTemplate === undefined ? {} : { chatTemplate }
  return {
    name,
    contextLength,
    memory,
    device: { kind: device.kind, info: device.info },
    tokenizer: { vocabSize, bosToken, eosTokens, hasChatTemplate, ...template },
    stats: engine.stats(),
  }
}

/**
 * Sends what a generation gives. One message is on its way at a time: a thread that is busy gets what came meanwhile
 * together, instead of a queue of messages.
 */
function feedOf(
  id: number,
  generation: Generation,
  post: Post,
  stats: () => ReturnType<LocalEngine['stats']>,
): { readonly ended: Promise<void>; more(): void } {
  let events: GenerationEvent[] = []
  let prefill: readonly [number, number] | null = null
  let onItsWay = false
  const taken = () => {
    const message = { type: 'events' as const, id, events, prefill, stats: stats() }
    events = []
    prefill = null
    return message
  }
  const send = () => {
    if (onItsWay || (events.length === 0 && !prefill)) return
    onItsWay = true
    post(taken())
  }
  generation.onPrefill = (done, total) => {
    prefill = [done, total]
    send()
  }
  const run = async () => {
    try {
      for await (const event of generation) {
        events.push(event)
        send()
      }
      const result = await generation.result
      post({ ...taken(), end: { result } })
    } catch (error) {
      post({ ...taken(), end: { error: errorMessage(error) } })
    }
  }
  return {
    ended: run(),
    more() {
      onItsWay = false
      send()
    },
  }
}
