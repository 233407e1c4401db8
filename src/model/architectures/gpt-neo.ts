import type { Architecture } from './architecture.ts'
import { type ConfigFields, shown } from './config-fields.ts'
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
import { renamedFields } from './renamed-fields.ts'

/**
 * GPT-Neo: GPT-2 with every other layer over a window, scores that are not divided by √D, matrices stored [outputs, inputs].
 *
 * Black et al.: GPT-Neo, 2021, doi 10.5281/zenodo.5297715.
 */
export const gptNeo: Architecture = {
  name: 'gpt_neo',
  modelTypes: ['gpt_neo'],
  idle: ['attention_types'],
  spec(outer, options) {
    const config = renamedFields(outer, { num_hidden_layers: 'num_layers', num_attention_heads: 'num_heads' })
    const sizes = readSizes(config, options, { vocabSize: 50_257 })
    const heads = readHeads(config, sizes.hiddenSize)
    const norm = layerNorm(config, 'layer_norm_epsilon')
    const activation = namedActivation(config, 'activation_function', 'gelu_new')
    const mlp = plainMlp(config.size('intermediate_size', 4 * sizes.hiddenSize), activation, true)
    const window = config.size('window_size', 256)
    const kinds = attentionLayers(config, sizes.numLayers)
    const layer = (index: number) => {
      const local = kinds[index] === 'local'
      const attention = plainAttention(heads, null, { scale: 1, window: local ? window : null, outputBias: true })
      return preNormLayer(attention, mlp, norm)
    }
    const tied = config.flag('tie_word_embeddings', true)
    return plainDecoder('gpt_neo', sizes, layer, norm, { tied, learnedPositions: true })
  },
  weights: {
    prefixes: ['transformer.', ''],
    head: ['lm_head'],
    names: {
      tokenEmbedding: 'wte',
      positionEmbedding: 'wpe',
      finalNorm: 'ln_f',
      'layers.N.attention.query': 'h.N.attn.attention.q_proj',
      'layers.N.attention.key': 'h.N.attn.attention.k_proj',
      'layers.N.attention.value': 'h.N.attn.attention.v_proj',
      'layers.N.attention.output': 'h.N.attn.attention.out_proj',
      'layers.N.mlp.up': 'h.N.mlp.c_fc',
      'layers.N.mlp.down': 'h.N.mlp.c_proj',
      'layers.N.norms.beforeAttention': 'h.N.ln_1',
      'layers.N.norms.beforeMlp': 'h.N.ln_2',
    },
  },
}

/** `attention_layers`, or `attention_types` [[kinds, how often], ...] written out. */
function attentionLayers(config: ConfigFields, numLayers: number): readonly unknown[] {
  const types = config.list('attention_types') ?? [[['global', 'local'], Math.ceil(numLayers / 2)]]
  const written = types.flatMap((entry) => {
    const [kinds, count] = Array.isArray(entry) ? entry : []
    if (!Array.isArray(kinds) || !Number.isSafeInteger(count) || count < 1 || count > numLayers)
      throw config.fault('attention_types', `must be a list of [kinds, count], got ${shown(entry)}`)
    return Array.from({ length: count }, () => kinds).flat()
  })
  const layers = config.list('attention_layers') ?? written.slice(0, numLayers)
  const wrong = layers.find((kind) => kind !== 'global' && kind !== 'local')
  if (layers.length !== numLayers || wrong !== undefined)
    throw config.fault('attention_layers', `must be ${numLayers} times "global" or "local", got ${shown(layers)}`)
  return layers
}
