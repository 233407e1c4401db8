import type { EncoderCheckpoint } from '../../model/encoders/encoder-checkpoint.ts'
import type { Pooling } from '../../model/encoders/encoder-spec.ts'
import { shortName } from '../../model/source/model-name.ts'
import type { ModelSource } from '../../model/source/resolve-model-source.ts'
import { FoveaError } from '../../tile/index.ts'
import { Embedder } from './embedder.ts'
import { checkEmbedderOptions, type EmbedderOptions } from './embedder-options.ts'
import { openEncoderParts } from './open-encoder-parts.ts'

/**
 * A model ready to make vectors of texts: opens `model` (a folder as Hugging Face lays it out, wherever `openEngine` finds
 * one), puts its weights on the device and allocates what `planEmbedder` says. Encoders (bert, roberta, xlm-roberta,
 * modernbert, nomic-bert, eurobert) and decoders that were trained for it (qwen3-embedding). How hidden states become a
 * vector is what the files of sentence-transformers beside the model say, or the options.
 *
 * Rejects with `argument` (options out of range; no pooling, where no file says one), `format`, `unsupported` and `io` (files),
 * `limit` and `memory` (what does not fit), `cancelled`; then nothing stays allocated.
 */
export async function openEmbedder(
  model: ModelSource | EncoderCheckpoint,
  options: EmbedderOptions = {},
): Promise<Embedder> {
  const where = 'openEmbedder'
  checkEmbedderOptions(where, options)
  const parts = await openEncoderParts(where, model, options, (checkpoint) => {
    poolingOf(where, checkpoint, options)
    dimensionsOf(where, checkpoint, options)
  })
  const { checkpoint } = parts
  return new Embedder(parts, {
    name: options.name ?? shortName(checkpoint.source),
    pooling: poolingOf(where, checkpoint, options),
    normalize: options.normalize ?? checkpoint.settings.normalize ?? true,
    dimensions: dimensionsOf(where, checkpoint, options),
    truncate: options.truncate ?? false,
  })
}

function poolingOf(where: string, { source, settings }: EncoderCheckpoint, { pooling }: EmbedderOptions): Pooling {
  const chosen = pooling ?? settings.pooling
  if (chosen) return chosen
  throw new FoveaError(
    'argument',
    where,
    `${source} says no pooling (as 1_Pooling/config.json does, or pooling_type of a GGUF file); the option pooling takes mean, cls or last, whichever the model was trained with`,
  )
}

function dimensionsOf(where: string, { spec }: EncoderCheckpoint, { dimensions }: EmbedderOptions): number {
  const most = spec.hiddenSize
  const wanted = dimensions ?? most
  if (Number.isSafeInteger(wanted) && wanted >= 1 && wanted <= most) return wanted
  throw new FoveaError('argument', where, `dimensions must be a whole number from 1 to ${most}, got ${wanted}`)
}
