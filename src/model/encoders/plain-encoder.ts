import { FoveaError } from '../../tile/index.ts'
import type { ConfigFields } from '../architectures/config-fields.ts'
import { type DecoderSizes, plainAttention, readHeads, tokenList } from '../architectures/plain-decoder.ts'
import type { AttentionSpec, MlpSpec, NormSpec } from '../decoder-spec.ts'
import type { EncoderLayerSpec, EncoderSpec } from './encoder-spec.ts'

/** Fields of encoders' configurations that say nothing of what an encoder computes. */
export const encoderIdle: readonly string[] = [
  // heads for other tasks; one that is read here asks for its fields itself
  'tie_word_embeddings',
  'classifier_pooling',
  'classifier_bias',
  'classifier_activation',
  'clf_pooling',
  'pooler_fc_size',
  'pooler_num_attention_heads',
  'pooler_num_fc_layers',
  'pooler_size_per_head',
  'pooler_type',
  'directionality',
  'output_past',
  // vLLM and sentence-transformers leave their own settings behind
  'sentence_transformers',
  'sbert_ce_default_activation_function',
]

/** Sizes that every encoder states; `positions`: where the configuration has none. */
export function encoderSizes(config: ConfigFields, positions: number): Omit<DecoderSizes, 'reachedPositions'> {
  return {
    vocabSize: config.size('vocab_size'),
    hiddenSize: config.size('hidden_size'),
    numLayers: config.size('num_hidden_layers'),
    maxPositions: config.size('max_position_embeddings', positions),
    bosToken: config.token('bos_token_id'),
    eosTokens: tokenList(config, 'eos_token_id'),
  }
}

/**
 * `type_vocab_size`, of which a table is made for every pair of type and position. Throws `format` for more than any model has.
 */
export function tokenTypes(config: ConfigFields, fallback: number): number {
  const types = config.isZero('type_vocab_size') ? 0 : config.size('type_vocab_size', fallback)
  if (types > 16) throw config.fault('type_vocab_size', `is ${types}; at most 16 types of tokens are taken`)
  return types
}

/** Heads without groups and rope, with biases: BERT's. */
export function bertAttention(config: ConfigFields, hiddenSize: number): AttentionSpec {
  return plainAttention(readHeads(config, hiddenSize), null, { qkvBias: true, outputBias: true })
}

/** A layer that normalises after each residual sum. */
export function postNormLayer(attention: AttentionSpec, mlp: MlpSpec, norm: NormSpec): EncoderLayerSpec {
  const norms = { beforeAttention: null, afterAttention: null, beforeMlp: null, afterMlp: null }
  return { attention, mlp, norms, parallel: false, sumNorms: { attention: norm, mlp: norm } }
}

/** A layer that normalises before attention (unless `beforeAttention` is null) and before the MLP. */
export function encoderPreNormLayer(
  attention: AttentionSpec,
  mlp: MlpSpec,
  norm: NormSpec,
  beforeAttention: NormSpec | null = norm,
): EncoderLayerSpec {
  const norms = { beforeAttention, afterAttention: null, beforeMlp: norm, afterMlp: null }
  return { attention, mlp, norms, parallel: false, sumNorms: { attention: null, mlp: null } }
}

/** Throws `unsupported` for a configuration that says it is a decoder, or attends to another model. */
export function checkBidirectional(config: ConfigFields): void {
  for (const field of ['is_decoder', 'add_cross_attention', 'causal'])
    if (config.flag(field, false))
      throw new FoveaError('unsupported', 'openEmbedder', `${config.file}: ${field} is true, which no encoder has`)
}

/** A spec of so many equal layers, without what only some have; `differs` says what there is. */
export function plainEncoder(
  architecture: EncoderSpec['architecture'],
  sizes: Omit<DecoderSizes, 'reachedPositions'>,
  layer: (index: number) => EncoderLayerSpec,
  differs: Partial<EncoderSpec['embedding']> & Partial<Pick<EncoderSpec, 'finalNorm' | 'maxPositions'>> = {},
): EncoderSpec {
  const { numLayers, ...rest } = sizes
  const { finalNorm = null, maxPositions = sizes.maxPositions, ...embedding } = differs
  return {
    architecture,
    ...rest,
    maxPositions,
    embedding: { scale: 1, positions: null, tokenTypes: 0, norm: null, ...embedding },
    layers: Array.from({ length: numLayers }, (_, index) => layer(index)),
    finalNorm,
    causal: false,
  }
}
