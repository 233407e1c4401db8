import { FoveaError } from '../../tile/index.ts'
import type { MlpSpec } from '../decoder-spec.ts'
import type { Architecture } from './architecture.ts'
import { rowsFrom } from './fused-rows.ts'
import { namedActivation } from './named-activation.ts'
import { layerNorm, plainAttention, plainDecoder, preNormLayer, tokenList } from './plain-decoder.ts'

/**
 * GPT-2: learned positions, layer norms, biases everywhere, an MLP without a gate; matrices are stored
 * [inputs, outputs], queries, keys and values in one.
 *
 * Radford, Wu, Child, Luan, Amodei, Sutskever: Language Models are Unsupervised Multitask Learners, 2019.
 */
export const gpt2: Architecture = {
  name: 'gpt2',
  modelTypes: ['gpt2'],
  ggufName: 'gpt2',
  gguf: { fused: ['attention'] },
  // the size of a mask, before masks were made to measure
  idle: ['n_ctx'],
  spec(config) {
    if (config.flag('add_cross_attention', false))
      throw new FoveaError('unsupported', 'openCheckpoint', `${config.file}: add_cross_attention needs an encoder`)
    const hiddenSize = config.size('n_embd')
    const numHeads = config.size('n_head')
    if (hiddenSize % numHeads !== 0)
      throw config.fault('n_head', `${numHeads} does not divide the hidden size ${hiddenSize}`)
    const heads = { numHeads, numKvHeads: numHeads, headDim: hiddenSize / numHeads }
    const maxPositions = config.size('n_positions', 1024)
    const sizes = {
      vocabSize: config.size('vocab_size'),
      hiddenSize,
      numLayers: config.size('n_layer'),
      maxPositions,
      reachedPositions: maxPositions,
      bosToken: config.token('bos_token_id'),
      eosTokens: tokenList(config, 'eos_token_id'),
    }
    const norm = layerNorm(config, 'layer_norm_epsilon')
    const mlp: MlpSpec = {
      size: config.size('n_inner', 4 * hiddenSize),
      activation: namedActivation(config, 'activation_function', 'gelu_new'),
      gated: false,
      bias: true,
    }
    const scale = config.flag('scale_attn_weights', true) ? 1 / Math.sqrt(heads.headDim) : 1
    const byLayer = config.flag('scale_attn_by_inverse_layer_idx', false)
    const layer = (index: number) => {
      const scaled = byLayer ? scale / (index + 1) : scale
      return preNormLayer(plainAttention(heads, null, { scale: scaled, qkvBias: true, outputBias: true }), mlp, norm)
    }
    const tied = config.flag('tie_word_embeddings', true)
    return plainDecoder('gpt2', sizes, layer, norm, { tied, learnedPositions: true })
  },
  weights: {
    prefixes: ['transformer.', ''],
    head: ['lm_head'],
    names: {
      tokenEmbedding: 'wte',
      positionEmbedding: 'wpe',
      finalNorm: 'ln_f',
      ...rowsFrom('h.N.attn.c_attn', 'attention', true),
      'layers.N.attention.output': { tensor: 'h.N.attn.c_proj', transposed: true },
      'layers.N.mlp.up': { tensor: 'h.N.mlp.c_fc', transposed: true },
      'layers.N.mlp.down': { tensor: 'h.N.mlp.c_proj', transposed: true },
      'layers.N.norms.beforeAttention': 'h.N.ln_1',
      'layers.N.norms.beforeMlp': 'h.N.ln_2',
    },
  },
}
