import { readFileSync } from 'node:fs'
import { getLlama, LlamaLogLevel } from 'node-llama-cpp'
import type { OpenPeer, Prompt } from './model-peer.ts'

/** llama.cpp by its prebuilt package for Linux, with its own defaults but for the number of threads. */
export const openPeer: OpenPeer = async ({ model: path, threads, contextLength }) => {
  const manifest = readFileSync(new URL('../package.json', import.meta.resolve('node-llama-cpp')), 'utf8')
  const { version } = JSON.parse(manifest) as { version: string }
  // only the build that lies there: nothing is fetched and nothing compiled
  const llama = await getLlama({
    gpu: false,
    build: 'never',
    skipDownload: true,
    maxThreads: threads,
    logLevel: LlamaLogLevel.error,
  })
  const model = await llama.loadModel({ modelPath: path })
  const context = await model.createContext({ contextSize: contextLength, threads })
  const sequence = context.getSequence()
  /** Greedy tokens after a prompt, and when they came. */
  const generate = async ({ tokens: prompt }: Prompt, count: number) => {
    await sequence.adaptStateToTokens([...prompt.slice(0, -1)], false)
    const rest = prompt.slice(sequence.nextTokenIndex)
    const tokens: number[] = []
    const at: number[] = []
    for await (const token of sequence.evaluate(rest, { temperature: 0, yieldEogToken: true })) {
      tokens.push(token)
      at.push(performance.now())
      if (tokens.length === count) break
    }
    if (tokens.length < count) throw new Error(`llama.cpp ended after ${tokens.length} of ${count} tokens`)
    return { tokens, at }
  }
  return {
    version,
    async next(prompts) {
      const tokens: number[] = []
      for (const prompt of prompts) tokens.push(...(await generate(prompt, 1)).tokens)
      return tokens
    },
    async prefill(prompt) {
      await sequence.clearHistory()
      const start = performance.now()
      const { at } = await generate(prompt, 1)
      return (at[0] as number) - start
    },
    async decode(prompt, count) {
      const { at } = await generate(prompt, count)
      return { count, msPerToken: ((at.at(-1) as number) - (at[0] as number)) / (count - 1) }
    },
    async close() {
      await context.dispose()
      await model.dispose()
      await llama.dispose()
    },
  }
}
