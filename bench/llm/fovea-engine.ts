import { readFileSync } from 'node:fs'
import type { LocalEngine } from '../../src/llm/local-engine.ts'
import { openEngine } from '../../src/llm/open-engine.ts'
import type { ModelPeer, ModelSetup, OpenPeer } from './model-peer.ts'
import { timeTokens } from './token-times.ts'

/** sequences that decode together */
export const together = 8
/** tokens beyond the context that the cache holds: what those sequences have of their own */
const ownTokens = 256

/** fovea, with its engine for what its peers do not do. */
export interface FoveaPeer extends ModelPeer {
  readonly engine: LocalEngine
  readonly setup: ModelSetup
  readonly wideVectors: boolean
}

/** fovea on WebAssembly, from its sources; `wideVectors` joins vectors into 256-bit ones by an experimental flag of V8. */
export const foveaPeer =
  (wideVectors: boolean): OpenPeer =>
  async (setup): Promise<FoveaPeer> => {
    const manifest = readFileSync(new URL('../../package.json', import.meta.url), 'utf8')
    const { version } = JSON.parse(manifest) as { version: string }
    const engine = await openFovea(setup, wideVectors)
    return {
      version,
      engine,
      setup,
      wideVectors,
      async next(prompts) {
        const tokens: number[] = []
        for (const prompt of prompts)
          tokens.push(...(await timeTokens(engine, { prompt: prompt.tokens, maxTokens: 1 })).tokens)
        return tokens
      },
      async prefill(prompt) {
        engine.cache.clear()
        return (await timeTokens(engine, { prompt: prompt.tokens, maxTokens: 1 })).firstMs
      },
      async decode(prompt, count) {
        const { msPerToken } = await timeTokens(engine, { prompt: prompt.tokens, maxTokens: count })
        return { count, msPerToken }
      },
      close: () => engine.close(),
    }
  }

/** The engine of a setup, on a device of its own. */
export function openFovea(
  { model, threads, contextLength, cacheFormat }: ModelSetup,
  wideVectors: boolean,
  options: Parameters<typeof openEngine>[1] = {},
): Promise<LocalEngine> {
  return openEngine(model, {
    device: 'wasm',
    deviceOptions: { wasm: { threads, wideVectors } },
    contextLength,
    cacheTokens: contextLength + together * ownTokens,
    maxSequences: together,
    ...(cacheFormat && { cacheFormat }),
    ...options,
  })
}
