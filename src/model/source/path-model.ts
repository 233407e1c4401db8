import { readdir, stat } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { FoveaError } from '../../tile/index.ts'
import { openFile } from '../files/open-file.ts'
import { wholeGgufs } from '../files/split-gguf.ts'
import type { ResolvedModel } from './resolved-model.ts'

/** A folder or a file of the disk, Node only. */
export async function pathModel(given: string | URL): Promise<ResolvedModel> {
  const path = typeof given === 'string' ? given : fileURLToPath(given)
  const found = await stat(path).catch((cause: Error) => {
    throw new FoveaError('io', 'openCheckpoint', `${path}: ${cause.message}`, { cause })
  })
  if (!found.isDirectory()) return ggufAt(path)
  const names = await readdir(path)
  const ggufs = wholeGgufs(names)
  if (!names.includes('config.json') && ggufs.length === 1) return ggufAt(`${path}/${ggufs[0]}`)
  if (!names.includes('config.json') && ggufs.length > 1)
    throw new FoveaError('argument', 'openCheckpoint', `${path} has several models: ${ggufs.join(', ')}; name one`)
  const present = new Map<string, Promise<readonly string[]>>([['', Promise.resolve(names)]])
  const open = async (name: string) => {
    const folder = name.slice(0, Math.max(0, name.lastIndexOf('/')))
    // a folder that is not there has no files
    const listed = present.get(folder) ?? readdir(`${path}/${folder}`).catch(() => [])
    present.set(folder, listed)
    return (await listed).includes(name.slice(folder === '' ? 0 : folder.length + 1))
      ? openFile(`${path}/${name}`)
      : null
  }
  return { kind: 'folder', name: path, files: { name: path, open } }
}

async function ggufAt(path: string): Promise<ResolvedModel> {
  const folder = path.slice(0, Math.max(path.lastIndexOf('/'), path.lastIndexOf('\\')) + 1)
  const openBeside = async (name: string) => {
    const found = await stat(folder + name).catch(() => null)
    return found && openFile(folder + name)
  }
  return { kind: 'gguf', name: path, source: await openFile(path), openBeside }
}
