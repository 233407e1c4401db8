// Runs in the page: wllama over one model, greedily.
import type { Decoded, Prompt } from './model-peer.ts'

/** What is used of wllama; its types are not there where the peers are not installed. */
interface Wllama {
  loadModel(blobs: readonly Blob[], params: object): Promise<void>
  createCompletion(options: object): Promise<void>
  getNumThreads(): number
}

/** A part of an answer, of one token but for the last, which counts. */
interface Chunk {
  readonly choices?: readonly {
    readonly text: string
    readonly logprobs?: { readonly content?: readonly { readonly id: number }[] } | null
  }[]
  readonly usage?: { readonly prompt_tokens: number; readonly completion_tokens: number }
}

const folder = '/bench/node_modules/@wllama/wllama'
const home = globalThis as { wllama?: Wllama }

/** Loads the model; gives the version, and the threads that it runs on. */
export async function open(model: string, threads: number, contextLength: number): Promise<{ version: string }> {
  const { Wllama } = (await import(`${folder}/esm/index.js`)) as {
    Wllama: new (paths: object, config: object) => Wllama
  }
  const response = await fetch(`${folder}/package.json`)
  const { version } = (await response.json()) as { version: string }
  const logger = { ...console, debug: () => {}, log: () => {} }
  const wllama = new Wllama({ default: `${folder}/esm/wasm/wllama.wasm` }, { suppressNativeLog: true, logger })
  const file = await fetch(model)
  if (!file.ok) throw new Error(`${model} was not served (${file.status})`)
  await wllama.loadModel([await file.blob()], {
    n_threads: threads,
    n_ctx: contextLength,
    n_gpu_layers: 0,
    n_parallel: 1,
  })
  if (wllama.getNumThreads() !== threads) throw new Error(`wllama runs on ${wllama.getNumThreads()} threads`)
  home.wllama = wllama
  return { version }
}

/** The most likely token after each of the prompts. */
export async function next(prompts: readonly Prompt[]): Promise<number[]> {
  const tokens: number[] = []
  for (const prompt of prompts) tokens.push(...(await generate(prompt, 1, { cache_prompt: true, logprobs: 1 })).tokens)
  return tokens
}

/** Computes a prompt, nothing of it kept from before; ms until its first token. */
export async function prefill(prompt: Prompt): Promise<number> {
  const start = performance.now()
  const { at } = await generate(prompt, 1, { cache_prompt: false })
  return (at[0] as number) - start
}

/** Decodes after a prompt whose keys and values may be kept from before. */
export async function decode(prompt: Prompt, count: number): Promise<Decoded> {
  const { at } = await generate(prompt, count, { cache_prompt: true })
  return { count, msPerToken: ((at.at(-1) as number) - (at[0] as number)) / (count - 1) }
}

async function generate({ text, tokens: wanted }: Prompt, count: number, options: object) {
  if (!home.wllama) throw new Error('wllama: no model is open')
  const tokens: number[] = []
  const at: number[] = []
  let usage: Chunk['usage']
  await home.wllama.createCompletion({
    ...{ prompt: text, max_tokens: count, temperature: 0, ignore_eos: true, stream: true, ...options },
    onData(chunk: Chunk) {
      const [choice] = chunk.choices ?? []
      tokens.push(...(choice?.logprobs?.content ?? []).map(({ id }) => id))
      usage ??= chunk.usage
      // the last one brings no token
      if (!chunk.usage) at.push(performance.now())
    },
  })
  if (usage?.prompt_tokens !== wanted.length || usage.completion_tokens !== count)
    throw new Error(`wllama counts ${JSON.stringify(usage)}, not ${wanted.length} and ${count}`)
  return { tokens, at }
}
