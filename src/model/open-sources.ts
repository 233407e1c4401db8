import { FoveaError } from '../tile/index.ts'
import type { SpecOptions } from './architectures/architecture.ts'
import type { Checkpoint } from './checkpoint.ts'
import type { ByteSource } from './files/byte-source.ts'
import { openGgufCheckpoint } from './gguf-checkpoint.ts'
import { openHuggingFace } from './huggingface-checkpoint.ts'

/** `contextLength`: what rope scalings are chosen for; longrope takes its long factors beyond the original length. */
export type CheckpointOptions = SpecOptions

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

/** Throws `argument` for a contextLength that is no whole number from 1. */
export function checkOptions({ contextLength }: CheckpointOptions): void {
  if (contextLength !== undefined && !(Number.isSafeInteger(contextLength) && contextLength > 0))
    throw new FoveaError(
      'argument',
      'openCheckpoint',
      `contextLength must be a whole number from 1, got ${contextLength}`,
    )
}
