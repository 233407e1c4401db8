import { join, relative, sep } from 'node:path'
import { fileURLToPath } from 'node:url'
import { chromium, type Page } from 'playwright-core'
import { startPageServer } from './page-server.ts'

const repository = join(import.meta.dirname, '..', '..')

/** Flags that give headless Chromium a WebGPU adapter on a machine with no GPU. */
const swiftShaderFlags = ['--no-sandbox', '--enable-unsafe-webgpu', '--use-webgpu-adapter=swiftshader']

export interface BrowserPageOptions {
  /** what the page is: a folder of the repository with an index.html ('/': an empty page) */
  readonly path?: string
  /** served with the headers of cross-origin isolation (true) */
  readonly isolated?: boolean
}

export interface BrowserPage {
  /** for what a person does: filling in and clicking */
  readonly page: Page
  /**
   * Imports `module` in the page and calls its export `name` with `args`. What it returns must survive JSON, as must
   * the arguments. An exception in the page, or a crash of it, rejects.
   *
   * @param module a file of the repository: `new URL('./sums.page.ts', import.meta.url)`
   * @param timeoutMs refused as an error after this long (default 120,000)
   */
  run<Result>(module: URL | string, name: string, args?: readonly unknown[], timeoutMs?: number): Promise<Result>
  close(): Promise<void>
}

/**
 * Opens headless Chromium on a page of the repository (an empty, cross-origin isolated one), with SwiftShader behind
 * `navigator.gpu`. What the page prints is printed here. One page serves many calls; close it in the end.
 */
export async function openBrowserPage({ path = '/', isolated = true }: BrowserPageOptions = {}): Promise<BrowserPage> {
  const server = await startPageServer(repository, { isolated })
  const browser = await chromium.launch({ executablePath: '/usr/bin/chromium', args: swiftShaderFlags })
  const page = await browser.newPage()
  page.on('console', (message) => console.log(`page ${message.type()}: ${message.text()}`))
  await page.goto(server.origin + path)

  return {
    page,
    async run<Result>(module: URL | string, name: string, args: readonly unknown[] = [], timeoutMs = 120_000) {
      const url = `/${relative(repository, fileURLToPath(module)).replaceAll(sep, '/')}`
      const { trouble, stopWaiting } = pageTrouble(page, `${name} of ${url}`, timeoutMs)
      try {
        return (await Promise.race([page.evaluate(callExport(url, name, args)), trouble])) as Result
      } finally {
        stopWaiting()
      }
    },
    async close() {
      await browser.close()
      await server.close()
    },
  }
}

/**
 * One call in a browser of its own: `runInBrowser(new URL('./sums.page.ts', import.meta.url), 'sum', [1, 2])`.
 * See {@link BrowserPage.run}.
 */
export async function runInBrowser<Result>(
  module: URL | string,
  name: string,
  args: readonly unknown[] = [],
): Promise<Result> {
  const page = await openBrowserPage()
  try {
    return await page.run<Result>(module, name, args)
  } finally {
    await page.close()
  }
}

/** A promise that rejects when the page crashes, throws outside the call, or is silent for too long. */
function pageTrouble(page: Page, call: string, timeoutMs: number): { trouble: Promise<never>; stopWaiting(): void } {
  let stopWaiting = () => {}
  const trouble = new Promise<never>((_, reject) => {
    const onCrash = () => reject(new Error(`${call}: the page crashed`))
    const onError = (error: Error) => reject(new Error(`${call}: uncaught in the page`, { cause: error }))
    const timer = setTimeout(() => reject(new Error(`${call}: nothing after ${timeoutMs} ms`)), timeoutMs)
    page.on('crash', onCrash)
    page.on('pageerror', onError)
    stopWaiting = () => {
      clearTimeout(timer)
      page.off('crash', onCrash)
      page.off('pageerror', onError)
    }
  })
  return { trouble, stopWaiting }
}

// text, because the test's transform would rewrite import() of a function into a call that the page does not have
function callExport(url: string, name: string, args: readonly unknown[]): string {
  const [urlText, nameText, argsText] = [url, name, args].map((part) => JSON.stringify(part))
  return `import(${urlText}).then((module) => {
    if (typeof module[${nameText}] !== 'function') throw new Error(${urlText} + ' exports no function ' + ${nameText})
    return module[${nameText}](...${argsText})
  })`
}
