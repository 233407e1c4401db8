import { defaultRope } from '../rope/default-rope.ts'
import type { Architecture } from './architecture.ts'
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
 * GPT-J: attention and MLP side by side over one layer norm, the first `rotary_dim` elements of heads turn, neighbours as
 * pairs; no biases in attention, one in the head.
 *
 * Wang and Komatsuzaki: GPT-J-6B, 2021 (no paper).
 */
export const gptj: Architecture = {
  name: 'gptj',
  modelTypes: ['gptj'],
  idle: ['rotary', 'scale_attn_weights', 'n_ctx'],
  spec(outer, options) {
    const config = renamedFields(outer, gptNames)
    const sizes = readSizes(config, options, { vocabSize: 50_400 })
    const heads = readHeads(config, sizes.hiddenSize)
    const rotaryDim = config.size('rotary_dim', heads.headDim)
    if (rotaryDim % 2 !== 0 || rotaryDim > heads.headDim)
      throw config.fault('rotary_dim', `${rotaryDim} must be even, and no more than heads of ${heads.headDim}`)
    const rope = { rotaryDim, interleaved: true, ...defaultRope({ rotaryDim, theta: 10_000 }) }
    const norm = layerNorm(config, 'layer_norm_epsilon')
    const activation = namedActivation(config, 'activation_function', 'gelu_new')
    const mlp = plainMlp(config.size('n_inner', 4 * sizes.hiddenSize), activation, true)
    const layer = { ...preNormLayer(plainAttention(heads, rope), mlp, norm), parallel: true }
    return plainDecoder('gptj', sizes, () => layer, norm, {
      tied: config.flag('tie_word_embeddings', false),
      headBias: true,
    })
  },
  weights: {
    prefixes: ['transformer.', ''],
    head: ['lm_head'],
    names: {
      tokenEmbedding: 'wte',
      finalNorm: 'ln_f',
      'layers.N.attention.query': 'h.N.attn.q_proj',
      'layers.N.attention.key': 'h.N.attn.k_proj',
      'layers.N.attention.value': 'h.N.attn.v_proj',
      'layers.N.attention.output': 'h.N.attn.out_proj',
      'layers.N.mlp.up': 'h.N.mlp.fc_in',
      'layers.N.mlp.down': 'h.N.mlp.fc_out',
      'layers.N.norms.beforeAttention': 'h.N.ln_1',
      'layers.N.norms.beforeMlp': 'h.N.ln_1',
    },
  },
}
