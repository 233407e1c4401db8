import type { LayerSpec, MlpSpec } from '../decoder-spec.ts'
import type { Architecture } from './architecture.ts'
import { rowsByGroup } from './fused-rows.ts'
import { namedActivation } from './named-activation.ts'
import { layerNorm, plainAttention, plainDecoder, preNormLayer, readHeads, readSizes } from './plain-decoder.ts'
import { readRope } from './read-rope.ts'

/**
 * GPT-NeoX and Pythia: attention and MLP side by side over the layer's input, rotary positions on a part of each head,
 * layer norms and biases, queries, keys and values together head by head.
 *
 * Black et al.: GPT-NeoX-20B, 2022, arXiv 2204.06745; Biderman et al.: Pythia, 2023, arXiv 2304.01373.
 */
export const gptNeox: Architecture = {
  name: 'gpt_neox',
  modelTypes: ['gpt_neox'],
  ggufName: 'gptneox',
  gguf: { fused: ['attention'] },
  spec(config, options) {
    const sizes = readSizes(config, options)
    const heads = readHeads(config, sizes.hiddenSize)
    const defaults = {
      theta: config.positive('rotary_emb_base', 10_000),
      partial: config.positive('rotary_pct', 0.25),
    }
    const rope = readRope(config, { ...heads, ...sizes, options, defaults })
    const bias = config.flag('attention_bias', true)
    const norm = layerNorm(config, 'layer_norm_eps')
    const mlp: MlpSpec = {
      size: config.size('intermediate_size'),
      activation: namedActivation(config, 'hidden_act', 'gelu'),
      gated: false,
      bias: true,
    }
    const attention = plainAttention(heads, rope, { qkvBias: bias, outputBias: bias })
    const parallel = config.flag('use_parallel_residual', true)
    const layer: LayerSpec = { ...preNormLayer(attention, mlp, norm), parallel }
    return plainDecoder('gpt_neox', sizes, () => layer, norm, { tied: config.flag('tie_word_embeddings', false) })
  },
  weights: {
    prefixes: ['gpt_neox.', ''],
    head: ['embed_out', 'lm_head'],
    names: {
      tokenEmbedding: 'embed_in',
      finalNorm: 'final_layer_norm',
      ...rowsByGroup('layers.N.attention.query_key_value'),
      'layers.N.attention.output': 'layers.N.attention.dense',
      'layers.N.mlp.up': 'layers.N.mlp.dense_h_to_4h',
      'layers.N.mlp.down': 'layers.N.mlp.dense_4h_to_h',
      'layers.N.norms.beforeAttention': 'layers.N.input_layernorm',
      'layers.N.norms.beforeMlp': 'layers.N.post_attention_layernorm',
    },
  },
}
