import type { ToWorker } from './engine-messages.ts'
import { serveEngine } from './serve-engine.ts'

/** A first message: the lock that is held for as long as this worker lives. */
interface Hold {
  readonly type: 'hold'
  readonly lock: string
}

// the worker of an engine in a page
const port = globalThis as unknown as {
  postMessage(message: unknown): void
  onmessage: ((event: { readonly data: ToWorker | Hold }) => void) | null
}
const take = serveEngine((message) => port.postMessage(message))
port.onmessage = ({ data }) => {
  if (data.type !== 'hold') return take(data)
  void navigator.locks.request(data.lock, () => {
    port.postMessage({ type: 'held' })
    return new Promise(() => {})
  })
}
