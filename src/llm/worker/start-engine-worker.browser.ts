import type { FromWorker } from './engine-messages.ts'
import type * as node from './start-engine-worker.ts'

/**
 * Starts it as a Web Worker, from the file beside this one or from an address. No event tells that a worker ended that was
 * out of memory or was ended by somebody else: it holds a lock, which is free when it is gone.
 */
export const startEngineWorker: typeof node.startEngineWorker = (events, workerUrl) => {
  const worker =
    workerUrl === undefined
      ? new Worker(new URL('./engine-worker.ts', import.meta.url), { type: 'module' })
      : new Worker(workerUrl, { type: 'module' })
  const waiting = new AbortController()
  const lock = `fovea-engine-${Math.random().toString(36).slice(2)}-${Date.now().toString(36)}`
  worker.onmessage = ({ data }: MessageEvent<FromWorker | { readonly type: 'held' }>) => {
    if (data.type !== 'held') return events.message(data)
    navigator.locks
      .request(lock, { signal: waiting.signal }, () => events.lost(new Error('it is gone')))
      .catch(() => {})
  }
  worker.onmessageerror = () => events.lost(new Error('a message of it could not be read'))
  worker.onerror = (event) => {
    event.preventDefault()
    // a script that does not load is an event without a message
    const missing = 'its script was not loaded: is engine-worker.js beside the bundle, and allowed by worker-src?'
    events.lost(new Error(event.message || missing))
  }
  if (navigator.locks) worker.postMessage({ type: 'hold', lock })
  return {
    post: (message, handedOver = []) => worker.postMessage(message, [...handedOver]),
    hold: () => {},
    terminate() {
      waiting.abort()
      worker.terminate()
    },
  }
}
