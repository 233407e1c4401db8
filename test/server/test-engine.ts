import { existsSync } from 'node:fs'
import { join } from 'node:path'
import type { Engine } from '../../src/llm/engine.ts'
import { openEngine } from '../../src/llm/open-engine.ts'

export interface TestEngineOptions {
  /** generations at a time (8), and how many wait (64) */
  readonly maxSequences?: number
  readonly maxQueue?: number
  readonly contextLength?: number
}

const root = join(import.meta.dirname, '..', '..')
const shipped = join(root, 'models', 'books-recall-16m.gguf')

/** The shipped model on WebAssembly, on one thread: test files run beside each other. */
export async function openTestEngine(options: TestEngineOptions = {}): Promise<Engine> {
  const model = existsSync(shipped) ? shipped : join(root, '..', 'shared', 'models', 'books-16m')
  return await openEngine(model, {
    device: 'wasm',
    deviceOptions: { wasm: { threads: 1 } },
    contextLength: 4096,
    chunkSize: 128,
    ...options,
  })
}
