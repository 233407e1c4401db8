import { readdir, stat } from 'node:fs/promises'
import { FoveaError } from '../tile/index.ts'
import type { Checkpoint } from './checkpoint.ts'
import { openFile } from './files/open-file.ts'
import { openGgufCheckpoint } from './gguf-checkpoint.ts'
import { openHuggingFace } from './huggingface-checkpoint.ts'
import { type CheckpointOptions, checkOptions } from './open-sources.ts'

/**
 * Opens a model on the disk: a folder as Hugging Face lays it out (config.json, safetensors, tokenizer.json), a .gguf
 * file, or a folder with a single .gguf file. Reads configuration, tokenizer and the headers of the weights; weights when
 * they are asked for. Node only; `openCheckpointFromSources` is for browsers.
 *
 * Throws `io` (nothing there, not readable), `format` naming file and field or tensor, `unsupported` for a variant of an
 * architecture that is not computed here, `argument` for a contextLength that is no whole number from 1.
 */
export async function openCheckpoint(where: string, options: CheckpointOptions = {}): Promise<Checkpoint> {
  checkOptions(options)
  const found = await stat(where).catch((cause: Error) => {
    throw new FoveaError('io', 'openCheckpoint', `${where}: ${cause.message}`, { cause })
  })
  if (!found.isDirectory()) return openGgufCheckpoint(await openFile(where), options)
  const names = await readdir(where)
  const ggufs = names.filter((name) => name.endsWith('.gguf'))
  if (!names.includes('config.json') && ggufs.length === 1)
    return openGgufCheckpoint(await openFile(`${where}/${ggufs[0]}`), options)
  if (!names.includes('config.json') && ggufs.length > 1)
    throw new FoveaError('argument', 'openCheckpoint', `${where} has several models: ${ggufs.join(', ')}; name one`)
  const present = new Set(names)
  const open = async (name: string) => (present.has(name) ? openFile(`${where}/${name}`) : null)
  return openHuggingFace({ name: where, open }, options)
}
