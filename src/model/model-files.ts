import { FoveaError } from '../tile/index.ts'
import { isRecord } from './architectures/config-fields.ts'
import type { ByteSource } from './files/byte-source.ts'
import { maxJsonBytes, parseJson } from './files/parse-json.ts'

/** The files of a model by their names, wherever they lie. */
export interface ModelFiles {
  /** names the whole in errors: a folder, a page */
  readonly name: string
  /** null when there is no such file */
  open(fileName: string): Promise<ByteSource | null>
}

/** The text of a file, null when there is none. Throws `format` naming it when it is no UTF-8, or longer than any is. */
export async function readText(files: ModelFiles, fileName: string): Promise<string | null> {
  const source = await files.open(fileName)
  if (!source) return null
  try {
    if (source.size > maxJsonBytes)
      throw new FoveaError('format', 'openCheckpoint', `${source.name} has ${source.size} bytes, over ${maxJsonBytes}`)
    return new TextDecoder('utf-8', { fatal: true }).decode(await source.read(0, source.size))
  } catch (cause) {
    if (!(cause instanceof TypeError)) throw cause
    throw new FoveaError('format', 'openCheckpoint', `${files.name}/${fileName} is no UTF-8`, { cause })
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
    value = parseJson(text)
  } catch (cause) {
    const reason = (cause as Error).message
    throw new FoveaError('format', 'openCheckpoint', `${files.name}/${fileName} is no JSON: ${reason}`, { cause })
  }
  if (isRecord(value)) return value
  throw new FoveaError('format', 'openCheckpoint', `${files.name}/${fileName} is no JSON object`)
}
