import type { Architecture } from './architecture.ts'
import { rowsByGroup } from './fused-rows.ts'
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
import { gptNames, renamedFields } from './renamed-fields.ts'

/**
 * StarCoder and SantaCoder: GPT-2 with one key/value head, queries, key and value in one matrix stored [outputs, inputs].
 *
 * Li et al.: StarCoder, 2023, arXiv 2305.06161.
 */
export const gptBigcode: Architecture = {
  name: 'gpt_bigcode',
  modelTypes: ['gpt_bigcode'],
  ggufName: 'starcoder',
  gguf: {
    fused: ['attention'],
    biases: ['output', 'mlp'],
    means: ({ key }) => ({ multi_query: key('attention.head_count_kv') === 1 }),
  },
  idle: [
    'attention_softmax_in_fp32',
    'scale_attention_softmax_in_fp32',
    'num_key_value_heads',
    'n_ctx',
    'inference_runner',
    'validate_runner_input',
    'pre_allocate_kv_cache',
    'max_batch_size',
    'max_sequence_length',
    'pad_key_length',
  ],
  spec(outer, options) {
    const config = renamedFields(outer, { ...gptNames, num_key_value_heads: 'none' })
    const sizes = readSizes(config, options, { vocabSize: 50_257, maxPositions: 1024 })
    const shared = config.flag('multi_query', true) ? { numKvHeads: 1 } : {}
    const heads = readHeads(config, sizes.hiddenSize, shared)
    const norm = layerNorm(config, 'layer_norm_epsilon')
    const activation = namedActivation(config, 'activation_function', 'gelu_pytorch_tanh')
    const mlp = plainMlp(config.size('n_inner', 4 * sizes.hiddenSize), activation, true)
    const scale = config.flag('scale_attn_weights', true) ? 1 / Math.sqrt(heads.headDim) : 1
    const layer = preNormLayer(plainAttention(heads, null, { scale, qkvBias: true, outputBias: true }), mlp, norm)
    const tied = config.flag('tie_word_embeddings', true)
    return plainDecoder('gpt_bigcode', sizes, () => layer, norm, { tied, learnedPositions: true })
  },
  weights: {
    prefixes: ['transformer.', ''],
    head: ['lm_head'],
    names: {
      tokenEmbedding: 'wte',
      positionEmbedding: 'wpe',
      finalNorm: 'ln_f',
      ...rowsByGroup('h.N.attn.c_attn'),
      'layers.N.attention.output': 'h.N.attn.c_proj',
      'layers.N.mlp.up': 'h.N.mlp.c_fc',
      'layers.N.mlp.down': 'h.N.mlp.c_proj',
      'layers.N.norms.beforeAttention': 'h.N.ln_1',
      'layers.N.norms.beforeMlp': 'h.N.ln_2',
    },
  },
}
