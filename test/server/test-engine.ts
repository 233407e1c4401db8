import type { Engine } from '../../src/llm/engine.ts'
import { standInEngine } from './stand-in-engine.ts'

/** The engine that these tests serve. */
export async function openTestEngine(
  options: { readonly batch?: number; readonly queue?: number } = {},
): Promise<Engine> {
  return standInEngine({ stepMs: 1, contextLength: 32_768, ...options })
}
