import type { PageFormat } from '../../src/attention/paged/page-pool.ts'

/** What a system is set up for. */
export interface ModelSetup {
  /** path of a GGUF file */
  readonly model: string
  readonly threads: number
  readonly contextLength: number
  /** fovea: how keys and values are stored (its default) */
  readonly cacheFormat?: PageFormat
}

/** A text, and the tokens that the model's tokenizer makes of it, its begin token included. */
export interface Prompt {
  readonly text: string
  readonly tokens: readonly number[]
}

/** How many tokens were decoded greedily, and the time of one, the first not counted. */
export interface Decoded {
  readonly count: number
  readonly msPerToken: number
}

/** A language model, loaded, by one system. */
export interface ModelPeer {
  readonly version: string
  /** The most likely token after each of these prompts, each of which begins with the one before. */
  next(prompts: readonly Prompt[]): Promise<readonly number[]>
  /** Computes a prompt, nothing of it kept from before; ms until its first token. */
  prefill(prompt: Prompt): Promise<number>
  /** Decodes after a prompt whose keys and values may be kept from before. */
  decode(prompt: Prompt, count: number): Promise<Decoded>
  close(): Promise<void>
}

/** What each file of this folder named `…-peer.ts` exports as `openPeer`. Throws what the system throws. */
export type OpenPeer = (setup: ModelSetup) => Promise<ModelPeer>

/** The systems that `loadModelPeer` knows: title, and the file of this folder. */
export const modelSystems = {
  fovea: { title: 'fovea', file: 'fovea-peer.ts' },
  'fovea-wide': { title: 'fovea, wideVectors', file: 'fovea-wide-peer.ts' },
  'llama-cpp': { title: 'node-llama-cpp (native)', file: 'llama-cpp-peer.ts' },
  wllama: { title: 'wllama (WebAssembly, Chromium)', file: 'wllama-peer.ts' },
} as const
export type ModelSystem = keyof typeof modelSystems

/** The name as given, or an error that lists the known ones. */
export function modelSystem(name: string): ModelSystem {
  if (Object.hasOwn(modelSystems, name)) return name as ModelSystem
  throw new Error(`modelSystem: no system "${name}"; there are ${Object.keys(modelSystems).join(', ')}`)
}

/** Loads one system alone, so that a process that measures it holds nothing of the others. */
export async function loadModelPeer(name: ModelSystem): Promise<OpenPeer> {
  const module = (await import(`./${modelSystems[name].file}`)) as { openPeer: OpenPeer }
  return module.openPeer
}
