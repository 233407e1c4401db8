import { checkFields, type FieldsOf, FoveaError } from '../tile/index.ts'
import type { SpecOptions } from './architectures/architecture.ts'
import type { Checkpoint } from './checkpoint.ts'
import { type ModelSource, resolveModelSource } from './source/resolve-model-source.ts'
import { type SourceOptions, sourceOptionFields } from './source/source-options.ts'

/**
 * `contextLength`: what rope scalings are chosen for; longrope takes its long factors beyond the original length.
 * `ignoreFields`: settings of the file that are to be read past (docs/settings.md). The others say how a model is fetched
 * that lies elsewhere.
 */
export interface CheckpointOptions extends SpecOptions, SourceOptions {}

const fields: FieldsOf<CheckpointOptions> = { ...sourceOptionFields, contextLength: true, ignoreFields: true }

/**
 * Opens a model, wherever it is: in Node a path of a folder as Hugging Face lays it out (config.json, safetensors,
 * tokenizer.json), of a .gguf file (of a split one the first part), or of a folder with a single model in .gguf files; everywhere `hf:owner/name`, a URL, Files, handles
 * and sources of bytes (`ModelSource`). Reads configuration, tokenizer and the headers of the weights; weights when they
 * are asked for. What comes from the Hub or a URL is kept in the store, and read from there by position.
 *
 * Throws `io` (nothing there, not readable), `format` naming file and field or tensor, `unsupported` for a variant of an
 * architecture that is not computed here, `argument` for a contextLength that is no whole number from 1 or ignoreFields that are no names, and what
 * `resolveModelSource` throws.
 */
export async function openCheckpoint(source: ModelSource, options: CheckpointOptions = {}): Promise<Checkpoint> {
  const { contextLength, ignoreFields, ...ofSource } = checkpointFields(options)
  const found = await resolveModelSource(source, ofSource)
  const spec = { ...(contextLength !== undefined && { contextLength }), ...(ignoreFields && { ignoreFields }) }
  // what reads the other kind of files is not loaded
  try {
    const checkpoint =
      found.kind === 'gguf'
        ? await (await import('./gguf-checkpoint.ts')).openGgufCheckpoint(found.source, spec, found.openBeside)
        : await (await import('./huggingface-checkpoint.ts')).openHuggingFace(found.files, spec)
    return found.close ? { ...checkpoint, close: found.close } : checkpoint
  } catch (error) {
    await found.close?.()
    throw error
  }
}

/** The options as they are. Throws `argument` naming the field. */
export function checkpointFields(options: CheckpointOptions): CheckpointOptions {
  checkFields('openCheckpoint', 'options', options, fields)
  const { contextLength, ignoreFields } = options
  if (ignoreFields !== undefined && !(Array.isArray(ignoreFields) && ignoreFields.every((f) => typeof f === 'string')))
    throw new FoveaError('argument', 'openCheckpoint', 'ignoreFields must be a list of names of fields')
  if (contextLength !== undefined && !(Number.isSafeInteger(contextLength) && contextLength > 0))
    throw new FoveaError(
      'argument',
      'openCheckpoint',
      `contextLength must be a whole number from 1, got ${contextLength}`,
    )
  return options
}
