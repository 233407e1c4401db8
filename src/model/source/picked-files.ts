import { FoveaError } from '../../tile/index.ts'
import { type ByteSource, blobSource } from '../files/byte-source.ts'
import { wholeGgufs } from '../files/split-gguf.ts'

/**
 * Files that a person picked, dropped or gave a page access to, as sources by name: a list of Files (several, or a folder of
 * an input with `webkitdirectory`), a directory handle. Of a folder's files those beside its config.json count.
 */
export async function pickedFiles(
  picked: Iterable<File> | FileSystemDirectoryHandle,
): Promise<Readonly<Record<string, ByteSource>>> {
  const files: [string, File][] = []
  if ('kind' in picked) {
    for await (const handle of picked.values())
      if (handle.kind === 'file') files.push([handle.name, await handle.getFile()])
  } else for (const file of picked) files.push([file.webkitRelativePath || file.name, file])
  const config = files
    .map(([path]) => path)
    .filter((path) => /(^|\/)config\.json$/.test(path))
    .sort((a, b) => a.length - b.length)[0]
  const folder = config?.slice(0, -'config.json'.length) ?? ''
  const own = files.filter(([path]) => path.startsWith(folder))
  const ggufs = files.filter(([path]) => path.toLowerCase().endsWith('.gguf'))
  if (config === undefined && wholeGgufs(ggufs.map(([path]) => path)).length !== 1) {
    const names = files.map(([path]) => path).join(', ')
    const what = ggufs.length === 0 ? 'neither a config.json nor a .gguf file' : 'several .gguf files; give one'
    throw new FoveaError('argument', 'openCheckpoint', `among the files (${names}) there is ${what}`)
  }
  const chosen = config === undefined ? ggufs : own
  return Object.fromEntries(chosen.map(([path, file]) => [path.slice(folder.length), blobSource(file)]))
}
