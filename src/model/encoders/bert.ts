import { FoveaError } from '../../tile/index.ts'
import type { WeightNames } from '../architectures/architecture.ts'
import type { ConfigFields } from '../architectures/config-fields.ts'
import { namedActivation } from '../architectures/named-activation.ts'
import type { MlpSpec, NormSpec } from '../decoder-spec.ts'
import type { EncoderArchitecture } from './encoder-architecture.ts'
import {
  bertAttention,
  checkBidirectional,
  encoderSizes,
  plainEncoder,
  postNormLayer,
  tokenTypes,
} from './plain-encoder.ts'

/**
 * BERT: learned positions, token types, a layer norm after the embedding and after each residual sum, GELU, biases
 * everywhere. Its classifier of one label reads tanh(dense(first token)).
 *
 * Devlin, Chang, Lee, Toutanova: BERT, 2019, arXiv 1810.04805.
 */
export const bert: EncoderArchitecture = {
  name: 'bert',
  modelTypes: ['bert'],
  spec(config) {
    checkBert(config)
    const sizes = encoderSizes(config, 512)
    const norm = bertNorm(config)
    const layer = postNormLayer(bertAttention(config, sizes.hiddenSize), bertMlp(config), norm)
    return plainEncoder('bert', sizes, () => layer, {
      positions: { rows: sizes.maxPositions, first: 0, padToken: null },
      tokenTypes: tokenTypes(config, 2),
      norm,
    })
  },
  weights: bertWeights('bert.'),
  classifier: (_, prefix) => ({
    spec: { pooling: 'cls', dense: { activation: 'tanh', bias: true }, norm: null, bias: true },
    names: { 'score.dense': `${prefix}pooler.dense`, 'score.output': 'classifier' },
  }),
}

/** Names of BERT's weights, with `prefix` or nothing before them. */
export function bertWeights(prefix: string): EncoderArchitecture['weights'] {
  const inLayer = (name: string) => `encoder.layer.N.${name}`
  const names: WeightNames = {
    tokenEmbedding: 'embeddings.word_embeddings',
    positionEmbedding: 'embeddings.position_embeddings',
    tokenTypes: 'embeddings.token_type_embeddings',
    embeddingNorm: 'embeddings.LayerNorm',
    'layers.N.attention.query': inLayer('attention.self.query'),
    'layers.N.attention.key': inLayer('attention.self.key'),
    'layers.N.attention.value': inLayer('attention.self.value'),
    'layers.N.attention.output': inLayer('attention.output.dense'),
    'layers.N.sumNorms.attention': inLayer('attention.output.LayerNorm'),
    'layers.N.mlp.up': inLayer('intermediate.dense'),
    'layers.N.mlp.down': inLayer('output.dense'),
    'layers.N.sumNorms.mlp': inLayer('output.LayerNorm'),
  }
  return { prefixes: ['', prefix], names }
}

export function bertNorm(config: ConfigFields): NormSpec {
  return { kind: 'layer', eps: config.positive('layer_norm_eps', 1e-12), offset: 0, bias: true }
}

export function bertMlp(config: ConfigFields): MlpSpec {
  return {
    size: config.size('intermediate_size'),
    activation: namedActivation(config, 'hidden_act', 'gelu'),
    gated: false,
    bias: true,
  }
}

/** Throws `unsupported` for decoders, and for positions relative to each other. */
export function checkBert(config: ConfigFields): void {
  checkBidirectional(config)
  const type = config.text('position_embedding_type', 'absolute')
  if (type !== 'absolute')
    throw new FoveaError(
      'unsupported',
      'openEmbedder',
      `${config.file}: position_embedding_type is "${type}"; only absolute positions are computed here`,
    )
}
