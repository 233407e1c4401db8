import { checkFields, FoveaError } from '../../tile/index.ts'
import { type ByteSource, blobSource } from '../files/byte-source.ts'
import { ggufModel, onlyGguf } from './gguf-model.ts'
import { pickedFiles } from './picked-files.ts'
import type { ResolvedModel } from './resolved-model.ts'
import { type SourceOptions, sourceOptionFields } from './source-options.ts'

/**
 * Where a model may come from: `hf:owner/name` (`@revision`, `/file.gguf`); a URL of a .gguf file or of a folder as Hugging
 * Face lays it out; in Node a path of either; a File or Blob of a .gguf file, a list of Files, a handle of a file or folder
 * that a person gave access to; sources of bytes.
 */
export type ModelSource =
  | string
  | URL
  | Blob
  | readonly File[]
  | FileList
  | FileSystemFileHandle
  | FileSystemDirectoryHandle
  | ByteSource
  | Readonly<Record<string, ByteSource>>

/**
 * Finds a model's files, wherever they are; those of the Hub and of URLs are downloaded into the store first. Throws
 * `argument` (no such kind of source, several .gguf files), `io`, `format` (a wrong hash), `capacity` (no room to store it),
 * `unsupported` (a store that is not there), `cancelled`.
 */
export async function resolveModelSource(source: ModelSource, options: SourceOptions = {}): Promise<ResolvedModel> {
  checkFields('resolveModelSource', 'options', options, sourceOptionFields)
  checkHash(options.sha256)
  if (typeof source === 'string' || source instanceof URL) {
    // sources of the caller's own need no store and no downloads
    const { resolvePlace } = await import('./resolve-place.ts')
    return resolvePlace(source, options)
  }
  if (options.sha256 !== undefined)
    throw new FoveaError('argument', 'openCheckpoint', 'sha256 is for the file of a URL; this source is none')
  if (typeof source !== 'object' || source === null)
    throw new FoveaError(
      'argument',
      'openCheckpoint',
      `a model is a name, a URL, a file or sources, got ${typeof source}`,
    )
  if (source instanceof Blob) return ggufModel(blobSource(source))
  if (isSource(source)) return ggufModel(source)
  if (isHandle(source)) {
    if (source.kind === 'file') return ggufModel(blobSource(await source.getFile()))
    return sourcesModel(source.name, await pickedFiles(source))
  }
  if (Symbol.iterator in source) return sourcesModel('files', await pickedFiles(source as Iterable<File>))
  return sourcesModel('sources', source as Readonly<Record<string, ByteSource>>)
}

function sourcesModel(name: string, sources: Readonly<Record<string, ByteSource>>): ResolvedModel {
  const open = async (file: string) => (Object.hasOwn(sources, file) ? (sources[file] ?? null) : null)
  const close = async () => {
    for (const source of Object.values(sources)) await source.close()
  }
  const only = onlyGguf(Object.keys(sources))
  const source = only === null ? null : sources[only]
  if (only !== null && source) {
    const beside = only.slice(0, only.lastIndexOf('/') + 1)
    return { ...ggufModel(source, (part) => open(beside + part)), close }
  }
  return { kind: 'folder', name, files: { name, open }, close }
}

function isSource(source: object): source is ByteSource {
  return typeof (source as { read?: unknown }).read === 'function'
}

function isHandle(source: object): source is FileSystemFileHandle | FileSystemDirectoryHandle {
  return typeof FileSystemHandle !== 'undefined' && source instanceof FileSystemHandle
}

function checkHash(sha256: string | undefined): void {
  if (sha256 !== undefined && !/^[0-9a-f]{64}$/i.test(sha256))
    throw new FoveaError('argument', 'openCheckpoint', `sha256 must be 64 hexadecimal digits, got "${sha256}"`)
}
