import { FoveaError } from '../../tile/index.ts'
import type { ConfigFields } from '../architectures/config-fields.ts'
import { rowsFrom } from '../architectures/fused-rows.ts'
import { type LayerType, readLayerTypes } from '../architectures/layer-types.ts'
import { namedActivation } from '../architectures/named-activation.ts'
import { plainAttention, readHeads } from '../architectures/plain-decoder.ts'
import { type RopeRequest, readRope } from '../architectures/read-rope.ts'
import type { MlpSpec, NormSpec, RopeSpec } from '../decoder-spec.ts'
import { defaultRope } from '../rope/default-rope.ts'
import type { EncoderArchitecture } from './encoder-architecture.ts'
import type { Pooling, ScoreHeadSpec } from './encoder-spec.ts'
import { checkBidirectional, encoderPreNormLayer, encoderSizes, plainEncoder } from './plain-encoder.ts'

/**
 * ModernBERT: norms before sublayers (none before the first attention, one after the embedding), rotary positions of two
 * bases, two of three layers see local_attention / 2 tokens to either side, GeGLU, queries, keys and values in one matrix.
 *
 * Warner et al.: Smarter, Better, Faster, Longer, 2024, arXiv 2412.13663.
 */
export const modernbert: EncoderArchitecture = {
  name: 'modernbert',
  modelTypes: ['modernbert'],
  idle: [
    // heads that predict masked tokens, and code that computes the same
    'decoder_bias',
    'sparse_prediction',
    'sparse_pred_ignore_index',
    'deterministic_flash_attn',
    'reference_compile',
    'repad_logits_with_grad',
    'initializer_cutoff_factor',
    // of files that list no types of layers, or have rope_parameters
    'global_attn_every_n_layers',
    'global_rope_theta',
    'local_rope_theta',
    'position_embedding_type',
    'layer_norm_eps',
  ],
  spec(config, options) {
    checkBidirectional(config)
    const sizes = encoderSizes(config, 8192)
    const heads = readHeads(config, sizes.hiddenSize)
    const norm = modernNorm(config)
    const ropes = readRopes(config, { ...heads, maxPositions: sizes.maxPositions, options })
    const bias = config.flag('attention_bias', false)
    const mlp: MlpSpec = {
      size: config.size('intermediate_size'),
      activation: namedActivation(config, 'hidden_activation', 'gelu'),
      gated: true,
      bias: config.flag('mlp_bias', false),
    }
    const side = Math.floor(config.size('local_attention', 128) / 2)
    const every = config.size('global_attn_every_n_layers', 3)
    const types = readLayerTypes(config, sizes.numLayers, (i) =>
      i % every === 0 ? 'full_attention' : 'sliding_attention',
    )
    const layer = (index: number) => {
      const type = types[index] ?? 'full_attention'
      const window = type === 'sliding_attention' ? side + 1 : null
      const attention = plainAttention(heads, ropes[type], { window, qkvBias: bias, outputBias: bias })
      return encoderPreNormLayer(attention, mlp, norm, index === 0 ? null : norm)
    }
    return plainEncoder('modernbert', sizes, layer, { norm, finalNorm: norm })
  },
  weights: {
    prefixes: ['', 'model.'],
    names: {
      tokenEmbedding: 'embeddings.tok_embeddings',
      embeddingNorm: 'embeddings.norm',
      finalNorm: 'final_norm',
      ...rowsFrom('layers.N.attn.Wqkv', 'attention'),
      ...rowsFrom('layers.N.mlp.Wi', 'mlp'),
      'layers.N.attention.output': 'layers.N.attn.Wo',
      'layers.N.mlp.down': 'layers.N.mlp.Wo',
      'layers.N.norms.beforeAttention': 'layers.N.attn_norm',
      'layers.N.norms.beforeMlp': 'layers.N.mlp_norm',
    },
  },
  classifier: (config) => ({
    spec: modernHead(config),
    names: { 'score.dense': 'head.dense', 'score.norm': 'head.norm', 'score.output': 'classifier' },
  }),
}

function modernNorm(config: ConfigFields): NormSpec {
  return { kind: 'layer', eps: config.positive('norm_eps', 1e-5), offset: 0, bias: config.flag('norm_bias', false) }
}

/** classifier(norm(activation(dense(pooled)))), the classifier itself always with a bias. */
function modernHead(config: ConfigFields): ScoreHeadSpec {
  const pooling = config.text('classifier_pooling', 'cls')
  if (pooling !== 'cls' && pooling !== 'mean')
    throw config.fault('classifier_pooling', `must be cls or mean, got "${pooling}"`)
  const activation = config.text('classifier_activation', 'gelu')
  if (!['gelu', 'relu', 'silu', 'tanh'].includes(activation))
    throw new FoveaError(
      'unsupported',
      'openReranker',
      `${config.file}: classifier_activation is "${activation}"; gelu, relu, silu and tanh are computed here`,
    )
  return {
    pooling: pooling satisfies Pooling,
    dense: {
      activation: activation as NonNullable<ScoreHeadSpec['dense']>['activation'],
      bias: config.flag('classifier_bias', false),
    },
    norm: modernNorm(config),
    bias: true,
  }
}

/** Newer configurations have an object per type of layer, older ones a base for each. */
function readRopes(config: ConfigFields, request: RopeRequest): Record<LayerType, RopeSpec> {
  const sections = config.section('rope_parameters')
  const of = (layerType: LayerType, field: string, theta: number): RopeSpec => {
    if (sections?.has(layerType)) return readRope(config, { ...request, layerType })
    const base = { rotaryDim: request.headDim, theta: config.positive(field, theta) }
    return { rotaryDim: base.rotaryDim, interleaved: false, ...defaultRope(base) }
  }
  return {
    full_attention: of('full_attention', 'global_rope_theta', 160_000),
    sliding_attention: of('sliding_attention', 'local_rope_theta', 10_000),
  }
}
