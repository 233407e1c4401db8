import { pageWorkerSource } from './page-worker-source.ts'
import type * as node from './start-workers.ts'
import type { PoolWorker, WorkerEvents } from './start-workers.ts'

/**
 * Starts the workers of a pool as Web Workers: from the file beside this one, which bundlers know by this very expression
 * (esbuild alone leaves the file out); where that does not load, from a text, which takes a page without a
 * Content-Security-Policy or one that allows `blob:` in worker-src.
 */
export const startWorkers: typeof node.startWorkers = async (memory, count, events, workerUrl) => {
  const fromFile = () =>
    workerUrl === undefined
      ? new Worker(new URL('./pool-worker.js', import.meta.url), { type: 'module' })
      : new Worker(workerUrl, { type: 'module' })
  const fromText = () => {
    const url = URL.createObjectURL(new Blob([pageWorkerSource], { type: 'text/javascript' }))
    const worker = new Worker(url)
    // it has been fetched when it serves, or never will be
    const forget = () => URL.revokeObjectURL(url)
    worker.addEventListener('message', forget, { once: true })
    worker.addEventListener('error', forget, { once: true })
    return worker
  }
  const reasons: string[] = []
  for (const [name, start] of [
    [workerUrl ?? 'pool-worker.js', fromFile],
    ['a blob: URL', fromText],
  ] as const) {
    try {
      return await startAll(start, memory, count, events)
    } catch (error) {
      reasons.push(`from ${name}: ${error instanceof Error ? error.message : String(error)}`)
    }
  }
  throw new Error(reasons.join('; '))
}

async function startAll(
  start: () => Worker,
  memory: WebAssembly.Memory,
  count: number,
  events: WorkerEvents,
): Promise<readonly PoolWorker[]> {
  const violation = watchPolicy()
  const workers: Worker[] = []
  try {
    await Promise.all(
      Array.from({ length: count }, (_, index) => {
        const worker = start()
        workers.push(worker)
        return served(worker, memory, index, events)
      }),
    )
    return workers.map((worker) => ({ hold: () => {}, terminate: () => worker.terminate() }))
  } catch (error) {
    for (const worker of workers) worker.terminate()
    throw violation.found ?? error
  } finally {
    violation.stop()
  }
}

function served(worker: Worker, memory: WebAssembly.Memory, index: number, events: WorkerEvents): Promise<void> {
  return new Promise((resolve, reject) => {
    let serves = false
    worker.onmessage = ({ data }) => {
      if (data !== 'ready') return events.message(data)
      serves = true
      resolve()
    }
    worker.onerror = (event) => {
      event.preventDefault()
      // a script that does not load is an event without a message
      const cause = new Error(event.message || 'its script was not loaded')
      if (serves) events.lost(cause)
      else reject(cause)
    }
    worker.postMessage({ memory, index })
  })
}

/** The error of a worker does not say that a policy forbade it; an event of the page does. */
function watchPolicy(): { readonly found: Error | null; stop(): void } {
  const watch: { found: Error | null; stop(): void } = {
    found: null,
    stop: () => removeEventListener('securitypolicyviolation', note),
  }
  const note = (event: SecurityPolicyViolationEvent) => {
    const { effectiveDirective } = event
    if (effectiveDirective === 'worker-src' || effectiveDirective === 'script-src')
      watch.found = new Error(`the Content-Security-Policy forbids it (${effectiveDirective})`)
  }
  addEventListener('securitypolicyviolation', note)
  return watch
}
