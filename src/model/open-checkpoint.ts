import { FoveaError } from '../tile/index.ts'
import type { SpecOptions } from './architectures/architecture.ts'
import type { Checkpoint } from './checkpoint.ts'
import { type ByteSource, openFile } from './files/byte-source.ts'
import { openGgufCheckpoint } from './gguf-checkpoint.ts'
import { openHuggingFace } from './huggingface-checkpoint.ts'

/** `contextLength`: what rope scalings are chosen for; longrope takes its long factors beyond the original length. */
export type CheckpointOptions = SpecOptions

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
  const { readdir, stat } = await import('node:fs/promises')
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

/**
 * Opens a model from sources of bytes, anywhere: that of a .gguf file, or those of a Hugging Face folder by file name
 * (`config.json`, `model.safetensors` … as `openCheckpoint` reads them). They are taken over, those that are not read
 * included: closing the checkpoint closes them all, and so does a failure. Throws what `openCheckpoint` throws.
 */
export async function openCheckpointFromSources(
  sources: ByteSource | Readonly<Record<string, ByteSource>>,
  options: CheckpointOptions = {},
): Promise<Checkpoint> {
  checkOptions(options)
  if (isSource(sources)) return openGgufCheckpoint(sources, options)
  const names = Object.keys(sources)
  const [only] = names
  if (only !== undefined && names.length === 1 && only.endsWith('.gguf') && sources[only])
    return openGgufCheckpoint(sources[only], options)
  const open = async (name: string) => (Object.hasOwn(sources, name) ? (sources[name] ?? null) : null)
  const closeAll = async () => {
    for (const source of Object.values(sources)) await source.close()
  }
  try {
    const checkpoint = await openHuggingFace({ name: 'sources', open }, options)
    return { ...checkpoint, close: closeAll }
  } catch (error) {
    await closeAll()
    throw error
  }
}

function isSource(sources: ByteSource | Readonly<Record<string, ByteSource>>): sources is ByteSource {
  return typeof sources.read === 'function'
}

function checkOptions({ contextLength }: CheckpointOptions): void {
  if (contextLength !== undefined && !(Number.isSafeInteger(contextLength) && contextLength > 0))
    throw new FoveaError(
      'argument',
      'openCheckpoint',
      `contextLength must be a whole number from 1, got ${contextLength}`,
    )
}
