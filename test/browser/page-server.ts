import { readFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { extname, join, normalize, sep } from 'node:path'
import ts from 'typescript'

export interface PageServer {
  readonly origin: string
  close(): Promise<void>
}

const contentTypes: Readonly<Record<string, string>> = {
  '.html': 'text/html',
  '.css': 'text/css',
  '.js': 'text/javascript',
  '.mjs': 'text/javascript',
  '.ts': 'text/javascript',
  '.json': 'application/json',
  '.wasm': 'application/wasm',
}

/**
 * Serves the repository at `root` to a browser on a free port of this machine; `isolated`: with the headers that make
 * pages cross-origin isolated, which most static servers do not send (true).
 *
 * Modules need no bundler: `dist` is plain ES modules, and a `.ts` file (or the `.browser.ts` that stands in for it) is sent
 * with its types stripped, its imports left as they are. `/` is an empty page whose import map resolves `fovea` and its
 * subpaths to what `package.json` gives pages. Any other path that
 * ends in `/` is the `index.html` there.
 */
export async function startPageServer(root: string, { isolated = true } = {}): Promise<PageServer> {
  const page = await emptyPage(root)
  const server = createServer(async (request, response) => {
    const asked = decodeURIComponent(new URL(request.url ?? '/', 'http://localhost').pathname)
    const path = asked.endsWith('/') && asked !== '/' ? `${asked}index.html` : asked
    if (isolated) {
      response.setHeader('Cross-Origin-Opener-Policy', 'same-origin')
      response.setHeader('Cross-Origin-Embedder-Policy', 'require-corp')
      response.setHeader('Cross-Origin-Resource-Policy', 'same-origin')
    }
    response.setHeader('Cache-Control', 'no-store')
    response.setHeader(
      'Content-Type',
      contentTypes[path === '/' ? '.html' : extname(path)] ?? 'application/octet-stream',
    )
    try {
      response.end(path === '/' ? page : await fileBody(root, path))
    } catch (error) {
      response.statusCode = 404
      response.end(`${path}: ${error}`)
    }
  })
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(0, '127.0.0.1', resolve)
  })
  return {
    origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}

async function fileBody(root: string, path: string): Promise<string | Buffer> {
  const file = normalize(join(root, path))
  if (!file.startsWith(root + sep)) throw new Error('outside the repository')
  // the build makes it of a text
  if (path === '/src/wasm/pool/pool-worker.js') return readFile(join(root, 'dist/wasm/pool/pool-worker.js'))
  if (!file.endsWith('.ts')) return readFile(file)
  // a source that needs Node has a twin for pages
  const bytes = await readFile(file.replace(/\.ts$/, '.browser.ts')).catch(() => readFile(file))
  const compilerOptions = { target: ts.ScriptTarget.ES2023, module: ts.ModuleKind.ESNext, verbatimModuleSyntax: true }
  return ts.transpileModule(bytes.toString('utf8'), { fileName: file, compilerOptions }).outputText
}

async function emptyPage(root: string): Promise<string> {
  const { name, exports } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8')) as {
    name: string
    exports: Record<string, string | { readonly browser: string }>
  }
  const own = Object.entries(exports).map(([subpath, target]) => [
    subpath.replace('.', name),
    (typeof target === 'string' ? target : target.browser).replace('./', '/'),
  ])
  const imports = Object.fromEntries(own)
  return `<!doctype html><title>${name}</title><link rel="icon" href="data:,"><script type="importmap">${JSON.stringify({ imports })}</script>`
}
