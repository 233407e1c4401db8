import { FoveaError } from '../../tile/index.ts'
import type { NormSpec } from '../decoder-spec.ts'
import type { Architecture } from './architecture.ts'
import { namedActivation } from './named-activation.ts'
import {
  plainAttention,
  plainDecoder,
  plainMlp,
  plainNames,
  preNormLayer,
  readHeads,
  readSizes,
} from './plain-decoder.ts'

/**
 * OPT: learned positions that begin at row 2 of their table, layer norms before sublayers, ReLU, biases everywhere. Variants
 * that normalise after sublayers (350M) or embed in another width are refused.
 *
 * Zhang et al.: OPT, 2022, arXiv 2205.01068.
 */
export const opt: Architecture = {
  name: 'opt',
  modelTypes: ['opt'],
  idle: ['layerdrop', 'enable_bias', 'layer_norm_elementwise_affine', 'activation_dropout'],
  spec(config, options) {
    const sizes = readSizes(config, options, { vocabSize: 50_272 })
    const refuse = (field: string) =>
      new FoveaError('unsupported', 'openCheckpoint', `${config.file}: ${field} of this OPT is not computed here`)
    if (!config.flag('do_layer_norm_before', true)) throw refuse('do_layer_norm_before')
    if (config.flag('_remove_final_layer_norm', false)) throw refuse('_remove_final_layer_norm')
    if (config.size('word_embed_proj_dim', sizes.hiddenSize) !== sizes.hiddenSize) throw refuse('word_embed_proj_dim')
    const heads = readHeads(config, sizes.hiddenSize)
    const bias = config.flag('enable_bias', true)
    const weightless = config.flag('layer_norm_elementwise_affine', true)
      ? {}
      : ({ bias: false, weightless: true } as const)
    const norm: NormSpec = { kind: 'layer', eps: 1e-5, offset: 0, bias: true, ...weightless }
    const mlp = plainMlp(config.size('ffn_dim'), namedActivation(config, 'activation_function', 'relu'), bias)
    const layer = preNormLayer(plainAttention(heads, null, { qkvBias: bias, outputBias: bias }), mlp, norm)
    return plainDecoder('opt', sizes, () => layer, norm, {
      tied: config.flag('tie_word_embeddings', true),
      learnedPositions: true,
      firstPosition: 2,
    })
  },
  weights: {
    prefixes: ['model.decoder.', 'decoder.', ''],
    head: ['lm_head'],
    names: {
      ...plainNames,
      positionEmbedding: 'embed_positions',
      finalNorm: 'final_layer_norm',
      'layers.N.attention.output': 'layers.N.self_attn.out_proj',
      'layers.N.mlp.up': 'layers.N.fc1',
      'layers.N.mlp.down': 'layers.N.fc2',
      'layers.N.norms.beforeAttention': 'layers.N.self_attn_layer_norm',
      'layers.N.norms.beforeMlp': 'layers.N.final_layer_norm',
    },
  },
}
