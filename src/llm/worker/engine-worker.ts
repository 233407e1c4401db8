import { parentPort } from 'node:worker_threads'
import { serveEngine } from './serve-engine.ts'

// the thread of an engine in Node
const take = serveEngine((message) => parentPort?.postMessage(message))
parentPort?.on('message', take)
