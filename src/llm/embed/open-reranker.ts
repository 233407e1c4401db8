import type { EncoderCheckpoint } from '../../model/encoders/encoder-checkpoint.ts'
import { shortName } from '../../model/source/model-name.ts'
import type { ModelSource } from '../../model/source/resolve-model-source.ts'
import { checkRerankerOptions, type RerankerOptions } from './embedder-options.ts'
import { openEncoderParts } from './open-encoder-parts.ts'
import { Reranker } from './reranker.ts'

/**
 * A model ready to say how well texts answer a query: a classifier of one label (BertForSequenceClassification and those of
 * RoBERTa, XLM-RoBERTa, ModernBERT; decoders with a `score` matrix, such as Qwen 3) that reads query and text together.
 *
 * Rejects as `openEmbedder` does, `unsupported` for what is no classifier and for one of several labels.
 */
export async function openReranker(
  model: ModelSource | EncoderCheckpoint,
  options: RerankerOptions = {},
): Promise<Reranker> {
  checkRerankerOptions('openReranker', options)
  const parts = await openEncoderParts('openReranker', model, options, () => {})
  const { checkpoint } = parts
  const stated = checkpoint.sigmoid === false ? 'none' : 'sigmoid'
  return new Reranker(parts, {
    name: options.name ?? shortName(checkpoint.source),
    activation: options.activation ?? stated,
    truncate: options.truncate ?? false,
  })
}
