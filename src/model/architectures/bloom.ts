import { alibiSlopes } from '../../attention/scores/alibi.ts'
import { geluTanh } from '../../nn/index.ts'
import { FoveaError } from '../../tile/index.ts'
import type { Architecture } from './architecture.ts'
import { rowsByGroup } from './fused-rows.ts'
import {
  layerNorm,
  plainAttention,
  plainDecoder,
  plainMlp,
  preNormLayer,
  readHeads,
  readSizes,
} from './plain-decoder.ts'
import { renamedFields } from './renamed-fields.ts'

/** positions that a configuration may not state, since ALiBi has no end: those of training */
const trainedPositions = 2048

/**
 * BLOOM: ALiBi, a layer norm after the embedding, biases everywhere, queries, keys and values together head by head.
 *
 * BigScience Workshop: BLOOM, 2022, arXiv 2211.05100.
 */
export const bloom: Architecture = {
  name: 'bloom',
  modelTypes: ['bloom'],
  ggufName: 'bloom',
  gguf: { fused: ['attention'], biases: ['output', 'mlp'], idle: ['feed_forward_length'] },
  idle: [
    'slow_but_exact',
    'offset_alibi',
    'n_inner',
    'masked_softmax_fusion',
    'bias_dropout_fusion',
    'attention_softmax_in_fp32',
    'unk_token_id',
    'skip_bias_add',
    'skip_bias_add_qkv',
    'num_attention_heads',
    'n_embed',
  ],
  spec(outer, options) {
    const names = { num_hidden_layers: 'n_layer', num_attention_heads: 'n_head', max_position_embeddings: 'seq_length' }
    const older = outer.has('hidden_size') ? {} : { hidden_size: 'n_embed' }
    const config = renamedFields(outer, { ...names, ...older })
    if (config.flag('apply_residual_connection_post_layernorm', false))
      throw new FoveaError(
        'unsupported',
        'openCheckpoint',
        `${config.file}: apply_residual_connection_post_layernorm is not computed here`,
      )
    const sizes = readSizes(config, options, { vocabSize: 250_880, maxPositions: trainedPositions })
    const heads = readHeads(config, sizes.hiddenSize)
    const slopes = [...alibiSlopes(heads.numHeads)]
    const norm = layerNorm(config, 'layer_norm_epsilon')
    const attention = plainAttention(heads, null, { alibiSlopes: slopes, qkvBias: true, outputBias: true })
    const layer = preNormLayer(attention, plainMlp(4 * sizes.hiddenSize, geluTanh, true), norm)
    const tied = config.flag('tie_word_embeddings', true)
    return plainDecoder('bloom', sizes, () => layer, norm, { tied, embeddingNorm: norm })
  },
  weights: {
    prefixes: ['transformer.', ''],
    head: ['lm_head'],
    names: {
      tokenEmbedding: 'word_embeddings',
      embeddingNorm: 'word_embeddings_layernorm',
      finalNorm: 'ln_f',
      ...rowsByGroup('h.N.self_attention.query_key_value'),
      'layers.N.attention.output': 'h.N.self_attention.dense',
      'layers.N.mlp.up': 'h.N.mlp.dense_h_to_4h',
      'layers.N.mlp.down': 'h.N.mlp.dense_4h_to_h',
      'layers.N.norms.beforeAttention': 'h.N.input_layernorm',
      'layers.N.norms.beforeMlp': 'h.N.post_attention_layernorm',
    },
  },
}
