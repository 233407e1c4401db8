import { relative, resolve, sep } from 'node:path'
import { openBrowserPage } from '../../test/browser/browser-page.ts'
import type { Decoded, OpenPeer } from './model-peer.ts'

const repository = resolve(import.meta.dirname, '..', '..')
const module = new URL('./wllama.page.ts', import.meta.url)
/** a prompt of 32,000 tokens may take minutes */
const limitMs = 1_200_000

/**
 * wllama, llama.cpp in WebAssembly with threads, in headless Chromium: it is made for browsers. The model must lie in the
 * repository, which is what the page can load.
 */
export const openPeer: OpenPeer = async ({ model, threads, contextLength }) => {
  const path = relative(repository, resolve(model))
  if (path.startsWith('..')) throw new Error('not run: the page can load models of the repository only')
  const page = await openBrowserPage()
  const call = <Result>(name: string, ...args: readonly unknown[]) => page.run<Result>(module, name, args, limitMs)
  try {
    const { version } = await call<{ version: string }>('open', `/${path.replaceAll(sep, '/')}`, threads, contextLength)
    return {
      version,
      next: (prompts) => call<number[]>('next', prompts),
      prefill: (prompt) => call<number>('prefill', prompt),
      decode: (prompt, count) => call<Decoded>('decode', prompt, count),
      close: () => page.close(),
    }
  } catch (error) {
    await page.close()
    throw error
  }
}
