import { Worker } from 'node:worker_threads'
import { serveSource } from './worker-source.ts'

const nodeWorkerSource = `${serveSource}
const { parentPort, workerData } = require('node:worker_threads')
serve(workerData.memory, workerData.index, (message) => parentPort.postMessage(message))
`

/** A running worker of either platform. */
export interface PoolWorker {
  /** keeps the process alive, or lets it end; nothing in a browser */
  hold(alive: boolean): void
  terminate(): void
}

export interface WorkerEvents {
  message(value: unknown): void
  /** a worker that served has ended */
  lost(cause: unknown): void
}

/**
 * Starts the workers of a pool on Node's worker threads and waits until all of them serve. Rejects with the reason when one
 * does not start; none is left then. `workerUrl` is for pages.
 */
export async function startWorkers(
  memory: WebAssembly.Memory,
  count: number,
  events: WorkerEvents,
  _workerUrl?: string,
): Promise<readonly PoolWorker[]> {
  const workers: PoolWorker[] = []
  try {
    await Promise.all(
      Array.from({ length: count }, (_, index) => {
        const { worker, ready } = startWorker(memory, index, events)
        workers.push(worker)
        return ready
      }),
    )
  } catch (error) {
    for (const worker of workers) worker.terminate()
    throw error
  }
  return workers
}

// from a text: builds, sources and bundles for Node all start it, wherever their files lie
function startWorker(
  memory: WebAssembly.Memory,
  index: number,
  events: WorkerEvents,
): { worker: PoolWorker; ready: Promise<void> } {
  const worker = new Worker(nodeWorkerSource, {
    eval: true,
    workerData: { memory, index },
    execArgv: [],
    name: `fovea-${index}`,
  })
  const ready = new Promise<void>((resolve, reject) => {
    let serves = false
    worker.on('message', (value) => {
      if (value !== 'ready') return events.message(value)
      serves = true
      resolve()
    })
    const lost = (cause: unknown) => (serves ? events.lost(cause) : reject(cause))
    worker.on('error', lost)
    worker.on('exit', (code) => lost(new Error(`worker ${index} ended with code ${code}`)))
  })
  return {
    ready,
    worker: {
      hold: (alive) => (alive ? worker.ref() : worker.unref()),
      terminate: () => {
        worker.removeAllListeners()
        worker.on('error', () => {})
        void worker.terminate()
      },
    },
  }
}
