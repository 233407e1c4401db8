import { alibiSlopes } from '../../attention/scores/alibi.ts'
import { gelu } from '../../nn/index.ts'
import { FoveaError } from '../../tile/index.ts'
import type { Architecture } from './architecture.ts'
import { rowsFrom } from './fused-rows.ts'
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

/**
 * MPT: ALiBi, layer norms without biases, no biases at all, queries, keys and values in one matrix and kept within
 * ± `clip_qkv` where it says so. Without ALiBi, or with norms of queries and keys, it is refused.
 *
 * MosaicML: MPT-7B, 2023 (no paper).
 */
export const mpt: Architecture = {
  name: 'mpt',
  modelTypes: ['mpt'],
  ggufName: 'mpt',
  gguf: {
    fused: ['attention'],
    idle: ['feed_forward_length'],
    fields: { clip_qkv: 'attention.clamp_kqv', alibi_bias_max: 'attention.max_alibi_bias' },
    means: ({ key }) => {
      const [steepness, clip] = [key('attention.max_alibi_bias') || undefined, key('attention.clamp_kqv') || undefined]
      return { attn_config: { alibi: steepness !== undefined, alibi_bias_max: steepness, clip_qkv: clip } }
    },
  },
  idle: [
    'no_bias',
    'expansion_ratio',
    'norm_type',
    'learned_pos_emb',
    'embedding_fraction',
    'init_device',
    'verbose',
    'logit_scale',
    'init_config',
    'ffn_config',
    'use_norm_bias',
  ],
  spec(outer, options) {
    const config = renamedFields(outer, mptNames)
    const given = config.section('attn_config')
    const refuse = (field: string) =>
      new FoveaError('unsupported', 'openCheckpoint', `${config.file}: ${field} of this MPT is not computed here`)
    if (!given?.flag('alibi', true)) throw refuse('attn_config.alibi')
    if (given.flag('qk_ln', false)) throw refuse('attn_config.qk_ln')
    if (given.flag('prefix_lm', false)) throw refuse('attn_config.prefix_lm')
    if (given.text('attn_type', 'multihead_attention') !== 'multihead_attention') throw refuse('attn_config.attn_type')
    for (const idle of ['attn_impl', 'attn_uses_sequence_id', 'model_type', 'attn_pdrop']) given.has(idle)
    const sizes = readSizes(config, options, { vocabSize: 50_368 })
    const heads = readHeads(config, sizes.hiddenSize)
    // slopes 2^(−max · i / n) where the paper has a max of 8
    const steepness = given.positive('alibi_bias_max', 8) / 8
    const norm = layerNorm(config, 'layer_norm_epsilon', { bias: false })
    const attention = plainAttention(heads, null, {
      scale: given.has('softmax_scale') ? given.positive('softmax_scale') : 1 / Math.sqrt(heads.headDim),
      alibiSlopes: [...alibiSlopes(heads.numHeads)].map((slope) => slope ** steepness),
      ...(given.has('clip_qkv') && { clip: given.positive('clip_qkv') }),
    })
    // whatever expansion_ratio says, as in transformers
    const layer = preNormLayer(attention, plainMlp(4 * sizes.hiddenSize, gelu, false), norm)
    return plainDecoder('mpt', sizes, () => layer, norm, { tied: config.flag('tie_word_embeddings', true) })
  },
  weights: {
    prefixes: ['transformer.', ''],
    head: ['lm_head'],
    names: {
      tokenEmbedding: 'wte',
      finalNorm: 'norm_f',
      ...rowsFrom('blocks.N.attn.Wqkv', 'attention'),
      'layers.N.attention.output': 'blocks.N.attn.out_proj',
      'layers.N.mlp.up': 'blocks.N.ffn.up_proj',
      'layers.N.mlp.down': 'blocks.N.ffn.down_proj',
      'layers.N.norms.beforeAttention': 'blocks.N.norm_1',
      'layers.N.norms.beforeMlp': 'blocks.N.norm_2',
    },
  },
}

const mptNames = {
  hidden_size: 'd_model',
  num_hidden_layers: 'n_layers',
  num_attention_heads: 'n_heads',
  max_position_embeddings: 'max_seq_len',
}
