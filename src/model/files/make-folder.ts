import { mkdir } from 'node:fs/promises'
import { FoveaError } from '../../tile/index.ts'

/** Makes a folder and those above it; one that is there stays. Node only. Throws `io` naming the path, under the name `where`. */
export async function makeFolder(where: string, path: string): Promise<void> {
  await mkdir(path, { recursive: true }).catch((cause: Error) => {
    throw new FoveaError('io', where, `${path}: ${cause.message}`, { cause })
  })
}
