import type { Checkpoint } from './checkpoint.ts'
import type { ByteSource } from './files/byte-source.ts'
import { type CheckpointOptions, openCheckpoint } from './open-checkpoint.ts'

/**
 * Opens a model from sources of bytes, anywhere: that of a .gguf file, or those of a Hugging Face folder by file name
 * (`config.json`, `model.safetensors` … as `openCheckpoint` reads them). They are taken over, those that are not read
 * included: closing the checkpoint closes them all, and so does a failure. Throws what `openCheckpoint` throws.
 */
export async function openCheckpointFromSources(
  sources: ByteSource | Readonly<Record<string, ByteSource>>,
  options: CheckpointOptions = {},
): Promise<Checkpoint> {
  return openCheckpoint(sources, options)
}
