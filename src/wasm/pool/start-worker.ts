import { workerSource } from './worker-source.ts'

/** A running worker of either platform. */
export interface PoolWorker {
  /** keeps the process alive, or lets it end; nothing in a browser */
  hold(alive: boolean): void
  terminate(): void
}

export interface WorkerEvents {
  message(value: unknown): void
  /** the worker ended or could not start */
  lost(cause: unknown): void
}

type NodeWorkers = typeof import('node:worker_threads')

/** Starts a worker on Node's worker threads, or else on Web Workers. */
export function startWorker(memory: WebAssembly.Memory, index: number, events: WorkerEvents): PoolWorker {
  const node = nodeModule<NodeWorkers>('node:worker_threads')
  return node ? startNodeWorker(node, memory, index, events) : startWebWorker(memory, index, events)
}

/** A module of Node, where this is Node; no import that a bundler for browsers would have to resolve. */
export function nodeModule<Module>(name: string): Module | undefined {
  const host = (
    globalThis as { process?: { versions?: { node?: string }; getBuiltinModule?: (id: string) => unknown } }
  ).process
  return host?.versions?.node ? (host.getBuiltinModule?.(name) as Module | undefined) : undefined
}

function startNodeWorker(
  node: NodeWorkers,
  memory: WebAssembly.Memory,
  index: number,
  events: WorkerEvents,
): PoolWorker {
  const worker = new node.Worker(workerSource, {
    eval: true,
    workerData: { memory, index },
    execArgv: [],
    name: `fovea-${index}`,
  })
  worker.on('message', (value) => events.message(value))
  worker.on('error', (cause) => events.lost(cause))
  worker.on('exit', (code) => events.lost(new Error(`worker ${index} ended with code ${code}`)))
  return {
    hold: (alive) => (alive ? worker.ref() : worker.unref()),
    terminate: () => {
      worker.removeAllListeners()
      worker.on('error', () => {})
      void worker.terminate()
    },
  }
}

function startWebWorker(memory: WebAssembly.Memory, index: number, events: WorkerEvents): PoolWorker {
  const url = URL.createObjectURL(new Blob([workerSource], { type: 'text/javascript' }))
  const worker = new Worker(url, { name: `fovea-${index}` })
  worker.onmessage = ({ data }) => {
    URL.revokeObjectURL(url)
    events.message(data)
  }
  worker.onerror = (event) => {
    event.preventDefault()
    events.lost(new Error(event.message))
  }
  worker.postMessage({ memory, index })
  return { hold: () => {}, terminate: () => worker.terminate() }
}
