import { readFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { extname, join, normalize, sep } from 'node:path'

export interface FolderServer {
  readonly origin: string
  /** paths of the files sent so far */
  readonly sent: readonly string[]
  close(): Promise<void>
}

const contentTypes: Readonly<Record<string, string>> = { '.html': 'text/html', '.js': 'text/javascript' }

export const isolation: Readonly<Record<string, string>> = {
  'Cross-Origin-Opener-Policy': 'same-origin',
  'Cross-Origin-Embedder-Policy': 'require-corp',
}

/**
 * Serves a folder on a free port of this machine, its index.html as `/`, each file with the headers that `headersOf` gives for
 * its path. `elsewhere` are files that lie outside, by path.
 */
export async function serveFolder(
  folder: string,
  headersOf: (path: string) => Readonly<Record<string, string>> = () => isolation,
  elsewhere: Readonly<Record<string, string>> = {},
): Promise<FolderServer> {
  const sent: string[] = []
  const server = createServer(async (request, response) => {
    const { pathname } = new URL(request.url ?? '/', 'http://localhost')
    const path = pathname === '/' ? '/index.html' : pathname
    const file = elsewhere[path] ?? normalize(join(folder, path))
    const outside = elsewhere[path] === undefined && !file.startsWith(folder + sep)
    const body = outside ? null : await readFile(file).catch(() => null)
    if (body) sent.push(path)
    response.writeHead(body ? 200 : 404, {
      'Content-Type': contentTypes[extname(path)] ?? 'application/octet-stream',
      'Cache-Control': 'no-store',
      ...headersOf(path),
    })
    response.end(body)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    sent,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}
