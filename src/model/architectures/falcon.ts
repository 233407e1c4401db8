import { alibiSlopes } from '../../attention/scores/alibi.ts'
import type { Architecture } from './architecture.ts'
import { rowsByGroup } from './fused-rows.ts'
import { oneNorm } from './gguf-facts.ts'
import { namedActivation } from './named-activation.ts'
import {
  layerNorm,
  plainAttention,
  plainDecoder,
  plainMlp,
  preNormLayer,
  readHeads,
  readSizes,
} from './plain-decoder.ts'
import { readRope } from './read-rope.ts'
import { renamedFields } from './renamed-fields.ts'

/**
 * Falcon: one key/value head (7B), a few (40B), or as many as queries with ALiBi in place of rotation (RW); sublayers side by
 * side over one norm, over two, or one after the other. ALiBi is added before scores are scaled.
 *
 * Almazrouei et al.: The Falcon Series of Open Language Models, 2023, arXiv 2311.16867.
 */
export const falcon: Architecture = {
  name: 'falcon',
  modelTypes: ['falcon', 'RefinedWeb', 'RefinedWebModel'],
  ggufName: 'falcon',
  gguf: {
    fused: ['attention'],
    means: ({ key, has }) => {
      const [heads, kvHeads] = [
        key('attention.head_count'),
        key('attention.head_count_kv') ?? key('attention.head_count'),
      ]
      const isNew = has('blk.0.attn_norm_2.weight') || (kvHeads !== 1 && kvHeads !== heads)
      return { new_decoder_architecture: isNew, multi_query: kvHeads === 1 }
    },
    // of two norms the second is that of attention; one without the other serves both
    names: ({ layers }, has) => {
      const two = has ? has('blk.0.attn_norm_2.weight') : (layers[0]?.attention.numKvHeads ?? 1) > 1
      return { ...oneNorm, ...(two && { 'layers.N.norms.beforeAttention': 'blk.N.attn_norm_2' }) }
    },
  },
  idle: [
    'multi_query',
    'parallel_attn',
    'num_kv_heads',
    'num_ln_in_parallel_attn',
    'n_head_kv',
    'rope_parameters',
    'rope_scaling',
  ],
  spec(outer, options) {
    const config = renamedFields(outer, outer.has('n_layer') ? olderNames : {})
    const sizes = readSizes(config, options)
    const isNew = config.flag('new_decoder_architecture', false)
    const numHeads = config.size('num_attention_heads')
    const multiQuery = !isNew && config.flag('multi_query', true)
    const numKvHeads = isNew ? config.size('num_kv_heads', numHeads) : multiQuery ? 1 : numHeads
    const heads = readHeads(renamedFields(config, { num_key_value_heads: 'none' }), sizes.hiddenSize, { numKvHeads })
    const alibi = config.flag('alibi', false)
    const scale = 1 / Math.sqrt(heads.headDim)
    const slopes = [...alibiSlopes(numHeads)].map((slope) => slope * scale)
    const bias = config.flag('bias', false)
    const attention = plainAttention(heads, alibi ? null : readRope(config, { ...heads, ...sizes, options }), {
      ...(alibi && { alibiSlopes: slopes }),
      qkvBias: bias,
      outputBias: bias,
    })
    const norm = layerNorm(config, 'layer_norm_epsilon')
    const activation = namedActivation(config, 'activation', 'gelu')
    const mlp = plainMlp(config.size('ffn_hidden_size', 4 * sizes.hiddenSize), activation, bias)
    const parallel = isNew || config.flag('parallel_attn', true)
    const layer = { ...preNormLayer(attention, mlp, norm), parallel }
    return plainDecoder('falcon', sizes, () => layer, norm, { tied: config.flag('tie_word_embeddings', true) })
  },
  weights: {
    prefixes: ['transformer.', ''],
    head: ['lm_head'],
    names: {
      tokenEmbedding: 'word_embeddings',
      finalNorm: 'ln_f',
      ...rowsByGroup('h.N.self_attention.query_key_value'),
      'layers.N.attention.output': 'h.N.self_attention.dense',
      'layers.N.mlp.up': 'h.N.mlp.dense_h_to_4h',
      'layers.N.mlp.down': 'h.N.mlp.dense_4h_to_h',
      'layers.N.norms.beforeAttention': { tensor: ['h.N.ln_attn', 'h.N.input_layernorm'] },
      'layers.N.norms.beforeMlp': { tensor: ['h.N.ln_mlp', 'h.N.post_attention_layernorm', 'h.N.input_layernorm'] },
    },
  },
}

const olderNames = { num_hidden_layers: 'n_layer', num_attention_heads: 'n_head', num_kv_heads: 'n_head_kv' }
