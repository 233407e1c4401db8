import type { Engine } from '../../src/llm/engine.ts'
import { standInEngine } from './stand-in-engine.ts'

export interface TestEngineOptions {
  /** generations at a time (8), and how many wait (32) */
  readonly batch?: number
  readonly queue?: number
  readonly contextLength?: number
}

/** The engine that these tests serve. */
export async function openTestEngine(options: TestEngineOptions = {}): Promise<Engine> {
  return standInEngine({ stepMs: 1, contextLength: 32_768, ...options })
}
