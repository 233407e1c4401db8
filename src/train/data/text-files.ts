import { readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { FoveaError } from '../../tile/index.ts'

export interface TextFile {
  readonly path: string
  /** as stored, that is, packed */
  readonly bytes: number
  /** of the last change, milliseconds since 1970 */
  readonly changed: number
}

const endings = ['.txt', '.text', '.md', '.txt.xz']

/**
 * The texts that paths name: a file as it is, a folder for all files under it that end in .txt, .text, .md or .txt.xz, in the
 * order of their paths. Node only. Rejects with `io` for a path that cannot be read and `argument` for no text at all.
 */
export async function textFiles(paths: readonly string[]): Promise<readonly TextFile[]> {
  const failed = (cause: Error): never => {
    throw new FoveaError('io', 'textFiles', cause.message, { cause })
  }
  const found: TextFile[] = []
  for (const path of paths) {
    const about = await stat(path).catch(failed)
    if (!about.isDirectory()) {
      found.push({ path, bytes: about.size, changed: about.mtimeMs })
      continue
    }
    const names = await readdir(path, { recursive: true }).catch(failed)
    const texts = names.filter((name) => endings.some((ending) => name.endsWith(ending))).sort()
    for (const name of texts) {
      const inside = await stat(join(path, name)).catch(failed)
      if (inside.isFile()) found.push({ path: join(path, name), bytes: inside.size, changed: inside.mtimeMs })
    }
  }
  if (found.length > 0) return found
  throw new FoveaError('argument', 'textFiles', `${paths.join(', ')}: no file that ends in ${endings.join(', ')}`)
}
