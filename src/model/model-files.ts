import { FoveaError } from '../tile/index.ts'
import { isRecord } from './architectures/config-fields.ts'
import type { ByteSource } from './files/byte-source.ts'

/** The files of a model by their names, wherever they lie. */
export interface ModelFiles {
  /** names the whole in errors: a folder, a page */
  readonly name: string
  /** null when there is no such file */
  open(fileName: string): Promise<ByteSource | null>
}

/** The text of a file, null when there is none. */
export async function readText(files: ModelFiles, fileName: string): Promise<string | null> {
  const source = await files.open(fileName)
  if (!source) return null
  try {
    return new TextDecoder().decode(await source.read(0, source.size))
  } finally {
    await source.close()
  }
}

/** The object in a JSON file, null when there is no file. Throws `format` naming it. */
export async function readObject(files: ModelFiles, fileName: string): Promise<Record<string, unknown> | null> {
  const text = await readText(files, fileName)
  if (text === null) return null
  let value: unknown
  try {
    value = JSON.parse(text.replace(/^\uFEFF/, ''))
  } catch (cause) {
    const reason = (cause as Error).message
    throw new FoveaError('format', 'openCheckpoint', `${files.name}/${fileName} is no JSON: ${reason}`, { cause })
  }
  if (isRecord(value)) return value
  throw new FoveaError('format', 'openCheckpoint', `${files.name}/${fileName} is no JSON object`)
}
