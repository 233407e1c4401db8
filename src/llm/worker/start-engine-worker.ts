import { Worker } from 'node:worker_threads'
import type { FromWorker, ToWorker } from './engine-messages.ts'

/** A worker of an engine, on either platform. */
export interface EngineWorker {
  /** `handedOver` moves to the worker instead of being copied */
  post(message: ToWorker, handedOver?: readonly ArrayBuffer[]): void
  /** keeps the process alive, or lets it end; nothing in a page */
  hold(alive: boolean): void
  terminate(): void
}

export interface EngineWorkerEvents {
  message(message: FromWorker): void
  /** the worker ended by itself, or never started */
  lost(cause: unknown): void
}

/** Starts it on a thread of Node. `workerUrl` is for pages. */
export function startEngineWorker(events: EngineWorkerEvents, _workerUrl?: string): EngineWorker {
  const worker = new Worker(new URL('./engine-worker.ts', import.meta.url), { name: 'fovea-engine' })
  worker.on('message', (message: FromWorker) => events.message(message))
  worker.on('messageerror', (cause) => events.lost(cause))
  worker.on('error', (cause) => events.lost(cause))
  worker.on('exit', (code) => events.lost(new Error(`it ended with code ${code}`)))
  return {
    post: (message, handedOver = []) => worker.postMessage(message, [...handedOver]),
    hold: (alive) => (alive ? worker.ref() : worker.unref()),
    terminate() {
      worker.removeAllListeners()
      worker.on('error', () => {})
      void worker.terminate()
    },
  }
}
